"""Peers as sources of a model: those that lie, lag or have nothing, and a chain that is silent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from aiohttp import web

from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.http_client import HttpTimeouts
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.listeners import ContentServer, Listener
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import Address, Cid, ModelId, VersionNumber
from decentralized_vllm.protocol.models import ModelVersion
from decentralized_vllm.protocol.nodes import NodeProfile, RegisteredNode
from decentralized_vllm.protocol.ports import ContentLimits
from dvllm_worker.models import peers as peers_module
from dvllm_worker.models.origins import ModelOrigins
from dvllm_worker.models.peers import MAX_ASKED, MAX_PAGES, MAX_PEERS, ModelPeers
from dvllm_worker.models.served import ServedModel
from tests.support.cid_vectors import write_sample
from tests.support.jobs import ME
from tests.support.trees import contents
from tests.support.worker_network import TERMS

LIMITS = ContentLimits(max_bytes=10_000_000)
ENTRIES_OF_A_NODE = 2


@dataclass
class Lists:
    """What the chain would say of one version."""

    endpoints: list[str]
    own: str = ""
    is_down: bool = False
    pages: list[int] = field(default_factory=list)
    n_profiles: int = 0

    async def version(self, number: VersionNumber) -> ModelVersion:
        if self.is_down:
            raise ChainUnavailable("no RPC answers")
        n_entries = ENTRIES_OF_A_NODE * (len(self.endpoints) + 1)
        return ModelVersion(number, ModelId("tiny"), Cid(""), TERMS, n_entries, 0)

    async def entries_of(
        self, version: VersionNumber, offset: int, limit: int
    ) -> tuple[Address, ...]:
        self.pages.append(offset)
        operators = [ME, *map(address, range(len(self.endpoints)))]
        return tuple(operators * ENTRIES_OF_A_NODE)[offset : offset + limit]

    async def nodes_of(self, operators: Sequence[Address]) -> list[RegisteredNode]:
        self.n_profiles += len(operators)
        return [registered(each, self._endpoint(each)) for each in operators]

    def _endpoint(self, operator: Address) -> str:
        return self.own if operator == ME else self.endpoints[int(operator, 16)]


def address(number: int) -> Address:
    return Address(f"0x{number:040x}")


def registered(operator: Address, endpoint: str) -> RegisteredNode:
    return RegisteredNode(operator, NodeProfile(1, 0, 100, endpoint=endpoint), 0, True)


def peers_of(lists: Lists, *, public_only: bool = False) -> ModelPeers:
    return ModelPeers(lists, lists, me=ME, public_only=public_only, random=Random(7))


@dataclass
class Peer:
    """Says that it has everything, and then does as told."""

    url: str
    asked: int = 0


@asynccontextmanager
async def peer_that(*, delay_s: float = 0.0, status: int = 200) -> AsyncIterator[Peer]:
    peer = Peer("")

    async def get(request: web.Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response()
        peer.asked += 1
        await asyncio.sleep(delay_s)
        return web.Response(status=status, body=b"not what was asked for")

    app = web.Application()
    app.router.add_get("/{path:.+}", get)
    listener = Listener(app, 0, setting="port")
    await listener.start()
    peer.url = listener.url
    try:
        yield peer
    finally:
        await listener.stop()


@dataclass
class Origin:
    store: MemoryStore
    model: ServedModel
    server: ContentServer
    original: Path

    async def fetch(
        self, lists: Lists, target: Path, *, gateways: Sequence[str] = (), public_only: bool = False
    ) -> None:
        async with GatewayStore(gateways, public_only=False) as far:
            origins = ModelOrigins([], far, peers_of(lists, public_only=public_only))
            async with origins.open(self.model) as reads:
                await reads.fetch_tree(self.model.model_cid, target, limits=LIMITS)
        assert contents(target) == contents(self.original)


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Origin]:
    store = MemoryStore()
    original = write_sample("tree", tmp_path)
    model = ServedModel(VersionNumber(1), ModelId("tiny"), await store.add_path(original))
    async with ContentServer(store, api_port=0, gateway_port=0) as server:
        yield Origin(store, model, server, original)


async def test_peer_lies__read_from_the_gateway_and_hardly_asked_again(
    origin: Origin, tmp_path: Path
) -> None:
    async with peer_that() as liar:
        lists = Lists([liar.url])
        await origin.fetch(lists, tmp_path / "copy", gateways=[origin.server.gateway_url])
        assert liar.asked == 1


async def test_peer_says_that_it_has_the_model_and_has_not__read_from_the_gateway(
    origin: Origin, tmp_path: Path
) -> None:
    async with peer_that(status=404) as empty:
        lists = Lists([empty.url])
        await origin.fetch(lists, tmp_path / "copy", gateways=[origin.server.gateway_url])


async def test_peer_is_silent__costs_one_time_limit(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "TIMEOUTS", HttpTimeouts(1.0, 1.0, 1.0))
    async with peer_that(delay_s=60.0) as silent:
        lists = Lists([silent.url])
        await origin.fetch(lists, tmp_path / "copy", gateways=[origin.server.gateway_url])
        assert silent.asked == 1


async def test_peer_answers_at_the_edge_of_the_time_limit__rests(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "SLOW_S", 0.1)
    async with peer_that(delay_s=0.2, status=404) as slow:
        lists = Lists([slow.url])
        await origin.fetch(lists, tmp_path / "copy", gateways=[origin.server.gateway_url])
        assert slow.asked == 1


async def test_only_slow_peers_and_no_gateway__asked_all_the_same(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "SLOW_S", 0.0)
    await origin.fetch(Lists([origin.server.gateway_url]), tmp_path / "copy")


async def test_one_honest_peer_among_strangers__no_gateway_needed(
    origin: Origin, tmp_path: Path
) -> None:
    strange = ["", "not a url", "http://[", "file:///etc/passwd", "http://user:pw@127.0.0.1"]
    async with peer_that() as liar:
        lists = Lists([*strange, liar.url, origin.server.gateway_url])
        await origin.fetch(lists, tmp_path / "copy")


async def test_private_addresses_are_not_allowed__no_peer_is_asked(
    origin: Origin, tmp_path: Path
) -> None:
    async with peer_that() as peer:
        lists = Lists([peer.url])
        await origin.fetch(
            lists, tmp_path / "copy", gateways=[origin.server.gateway_url], public_only=True
        )
        assert peer.asked == 0


async def test_chain_is_silent__read_from_the_gateway(origin: Origin, tmp_path: Path) -> None:
    lists = Lists([], is_down=True)
    await origin.fetch(lists, tmp_path / "copy", gateways=[origin.server.gateway_url])


async def test_own_endpoint__also_under_another_name__is_left_out(origin: Origin) -> None:
    own = origin.server.gateway_url
    async with peers_of(Lists([own + "/"], own=own)).open(origin.model) as found:
        assert found.sources == []


async def test_thousands_of_nodes__a_few_pages_and_profiles_are_read(origin: Origin) -> None:
    lists = Lists([""] * 1000)
    async with peers_of(lists).open(origin.model) as found:
        assert found.sources == []
    assert len(lists.pages) == MAX_PAGES
    assert lists.n_profiles <= MAX_ASKED + 1


async def test_many_nodes_have_it__a_few_are_used(origin: Origin) -> None:
    async with peer_that() as peer:
        urls = [f"{peer.url}/{number}" for number in range(MAX_PEERS + 3)]
        async with peers_of(Lists(urls)).open(origin.model) as found:
            assert len({source.url for source in found.sources} & set(urls)) == MAX_PEERS
