"""Strangers' nodes asked whether they are there, and the operator's own asked for its resources."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.nodes import NodeProfile, RegisteredNode
from decentralized_vllm.protocol.request_auth import (
    HttpRequest,
    body_digest,
    read_headers,
    verify,
)
from dvllm_gateway.errors import Forbidden, InvalidRequest, NetworkUnavailable, NoCapacity
from dvllm_gateway.market import nodes as nodes_module
from dvllm_gateway.market.node_door import WorkerDoor
from dvllm_gateway.market.nodes import RegistryNodes, StatusProbe
from dvllm_gateway.services.peer_book import OUT_OF_SIGHT, ListedNode, Presence, Sighting
from dvllm_gateway.services.resources import Allocation, Resources, Shares
from tests.support.anvil import development_account
from tests.support.gateway_in_memory.facts import OWNER, WORKER

GATEWAY = development_account(6)
COORDINATOR = Address("0x5FbDB2315678afecb367f032d93F642f64180aa3")
STATUS = {
    "node": WORKER,
    "chain_id": 31337,
    "coordinator": COORDINATOR,
    "slots": 4,
    "free_slots": 3,
    "is_draining": False,
    "queue": 0,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def network(*nodes: RegisteredNode) -> Network:
    """As much of a network as these parts look at."""

    async def listed() -> list[RegisteredNode]:
        return list(nodes)

    return cast(
        Network,
        SimpleNamespace(
            identity=SimpleNamespace(chain_id=31337),
            coordinator=SimpleNamespace(address=COORDINATOR),
            node_registry=SimpleNamespace(nodes=listed),
        ),
    )


@asynccontextmanager
async def serving(path: str, handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", path, handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def presence(handler: Handler, *, public_only: bool = False) -> Presence:
    return (await sighting(handler, public_only=public_only)).presence


async def sighting(handler: Handler, *, public_only: bool = False) -> Sighting:
    async with serving("/status", handler) as url:
        probe = StatusProbe(network(), public_only=public_only)
        try:
            return await probe.look(ListedNode(WORKER, url, "n:1"))
        finally:
            await probe.close()


def answering(**changes: Any) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response({**STATUS, **changes})

    return handle


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Presence.ONLINE),
        ({"node": WORKER.lower()}, Presence.ONLINE),
        ({"free_slots": 0}, Presence.BUSY),
        ({"is_draining": True}, Presence.BUSY),
        ({"node": OWNER}, Presence.OFFLINE),
        ({"chain_id": 1}, Presence.OFFLINE),
        ({"coordinator": OWNER}, Presence.OFFLINE),
        ({"free_slots": "3"}, Presence.OFFLINE),
    ],
)
async def test_probe__what_a_node_says__believed_if_it_is_that_node(
    changes: dict[str, Any], expected: Presence
) -> None:
    assert await presence(answering(**changes)) is expected


def model_told(model_id: str, **changes: Any) -> dict[str, Any]:
    return {"model_id": model_id, "version": 1, "is_ready": True, "engine": "vllm", **changes}


async def test_probe__models__ready_ones_with_the_features_we_know() -> None:
    models = [
        model_told("m", features=["json_object", "telepathy"]),
        model_told("old"),
        model_told("loading", is_ready=False, features=["json_object"]),
    ]
    found = await sighting(answering(models=models))
    assert found.models == {"m": {Feature.JSON_OBJECT}, "old": frozenset()}


@pytest.mark.parametrize(
    "models",
    [[{"model_id": 1, "is_ready": True}], [model_told("m")] * 257, [model_told("m", features=[1])]],
)
async def test_probe__models_that_make_no_sense__offline(models: list[Any]) -> None:
    assert await sighting(answering(models=models)) == OUT_OF_SIGHT


async def test_probe__private_address__not_even_asked() -> None:
    asked = []

    async def note(_: web.Request) -> web.Response:
        asked.append(1)
        return web.json_response(STATUS)

    assert await presence(note, public_only=True) is Presence.OFFLINE
    assert asked == []


async def test_probe__hostile_answers__offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        nodes_module, "TIMEOUTS", nodes_module.HttpTimeouts(connect_s=1, read_s=1, total_s=0.5)
    )

    async def redirects(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/secret")

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def nonsense(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff[[[[")

    async def broken(_: web.Request) -> web.Response:
        return web.json_response(STATUS, status=500)

    for handler in (redirects, endless, silent, nonsense, broken):
        assert await presence(handler) is Presence.OFFLINE, handler.__name__


async def test_probe__nobody_there__offline() -> None:
    probe = StatusProbe(network(), public_only=False)
    found = await probe.look(ListedNode(WORKER, "http://127.0.0.1:1", "n"))
    assert found.presence is Presence.OFFLINE
    await probe.close()


def registered(endpoint: str, *, is_registered: bool = True) -> RegisteredNode:
    return RegisteredNode(WORKER, NodeProfile(1, 0, 100, endpoint=endpoint), 1, is_registered)


@pytest.mark.parametrize(
    ("endpoint", "host_and_port"),
    [
        ("https://node.example", "node.example:443"),
        ("http://192.0.2.1:30303/base", "192.0.2.1:30303"),
        ("http://[2001:db8::1]:8090", "[2001:db8::1]:8090"),
    ],
)
async def test_listing__an_address__as_host_and_port(endpoint: str, host_and_port: str) -> None:
    (node,) = await RegistryNodes(network(registered(endpoint))).nodes()
    assert (node.endpoint, node.host_and_port) == (endpoint, host_and_port)


async def test_listing__no_address_or_no_node__left_out() -> None:
    bad = ["", "ftp://node.example", "http://user:pass@node.example", "http://n/?q=1", "http://[:"]
    nodes = [registered(endpoint) for endpoint in bad]
    gone = registered("https://node.example", is_registered=False)
    assert await RegistryNodes(network(*nodes, gone)).nodes() == ()


SHARES = {"cpu": 10.0, "memory": 15.0, "gpu": 0.0, "storage": 5.0}
ANSWER = {"allocation": SHARES, "usage": SHARES, "limits": SHARES, "machine": SHARES}


async def test_door__read__the_nodes_own_figures() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.method == "GET"
        return web.json_response(ANSWER)

    async with serving("/resources", handle) as url:
        door = WorkerDoor(url, GATEWAY)
        reading = await door.read()
        await door.close()
    shares = Shares(10, 15, 0, 5)
    assert reading.resources == Resources(shares, shares, shares)
    assert reading.machine == shares


async def test_door__change__signed_over_its_body() -> None:
    signers = []

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        signed = HttpRequest(request.host, "POST", request.raw_path, body_digest(body))
        proof = read_headers(request.headers)
        signers.append(verify(signed, proof, now_s=proof.timestamp_s, authorities=[request.host]))
        assert body == b'{"cpu":50.0,"storage":1.0}'
        return web.json_response(ANSWER)

    async with serving("/base/resources", handle) as url:
        door = WorkerDoor(f"{url}/base/", GATEWAY)
        await door.change(Allocation(cpu=50.0, storage=1.0))
        await door.close()
    assert signers == [GATEWAY.address]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (422, {"error": "cpu: above"}, NoCapacity),
        (401, {"error": "who"}, Forbidden),
        (403, {"error": "no"}, Forbidden),
        (400, {"error": "what"}, InvalidRequest),
        (500, {"oops": 1}, NetworkUnavailable),
        (200, {"allocation": {}}, NetworkUnavailable),
        (200, {**ANSWER, "usage": {**SHARES, "cpu": "much"}}, NetworkUnavailable),
    ],
)
async def test_door__refusals__as_the_core_says_them(
    status: int, body: dict[str, Any], error: type[Exception]
) -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    async with serving("/resources", handle) as url:
        door = WorkerDoor(url, GATEWAY)
        with pytest.raises(error):
            await door.change(Allocation(cpu=1.0))
        await door.close()


async def test_door__nobody_there__unavailable() -> None:
    door = WorkerDoor("http://127.0.0.1:1", GATEWAY)
    with pytest.raises(NetworkUnavailable):
        await door.read()
    await door.close()
