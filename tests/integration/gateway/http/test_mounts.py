"""Several APIs on one port: by path, by prefix, by Host."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from decentralized_vllm.content.server.guard import ConnectionCounter
from dvllm_gateway.dialects.openai.operations import openai_dialect
from dvllm_gateway.dialects.openai.options import OpenAiOptions
from dvllm_gateway.http.cors import allow_origins
from dvllm_gateway.http.docs_page import docs_page
from dvllm_gateway.http.listeners import Listener
from dvllm_gateway.http.mounts import unified_app
from dvllm_gateway.http.operation import Dialect
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.http.websocket import SocketServer
from tests.support.auth_parts import AuthParts
from tests.support.toy_dialect import Toy, toy_dialect
from tests.support.toy_server import toy_core

PAGE = "https://page.example"


class Unified:
    def __init__(self, url: str, session: aiohttp.ClientSession, toy: Toy) -> None:
        self.url = url
        self.session = session
        self.toy = toy

    async def ask(
        self, path: str, *, host: str | None = None, method: str = "GET", **headers: str
    ) -> tuple[int, Any, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if host is not None:
            named["Host"] = host
        async with self.session.request(
            method, self.url + path, headers=named, allow_redirects=False
        ) as response:
            is_json = response.content_type == "application/json"
            body = await response.json() if is_json else await response.text()
            return response.status, body, response.headers


def dialects(toy: Toy) -> list[Dialect]:
    """Two with paths of their own, and one path that both have."""
    red = toy_dialect(toy, name="red", socket=SocketServer(toy.converse))
    blue = toy_dialect(toy, name="blue")
    shared = next(each for each in red.operations if each.name == "getThing")
    both = replace(shared, path="/both/{name:.+}")
    also = replace(shared, path="/both/{other}", name="getOther", handler=toy.forget)
    return [
        replace(red, operations=(*red.operations, both)),
        replace(blue, operations=(*blue.operations, also)),
    ]


@pytest.fixture
async def unified(tmp_path: Path) -> AsyncIterator[Unified]:
    toy, options = Toy(), HttpOptions()
    async with toy_core(tmp_path, AuthParts()) as core:
        app = unified_app(core, dialects(toy), options)
        allow_origins(app, [PAGE])
        async with (
            Listener(
                app,
                host="127.0.0.1",
                port=0,
                setting="listen.unified_port",
                connections=ConnectionCounter(),
            ) as listener,
            aiohttp.ClientSession() as session,
        ):
            yield Unified(listener.url, session, toy)


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/reds/things/a", None),
        ("/red/reds/things/a", None),
        ("/reds/things/a", "red.localhost"),
        ("/reds/things/a", "RED.localhost:8088"),
    ],
)
async def test_operation__by_any_mount__is_the_same(
    unified: Unified, path: str, host: str | None
) -> None:
    status, body, headers = await unified.ask(path, host=host)

    assert (status, body) == (200, {"name": "a", "limit": 10})
    assert headers["X-Request-Id"]
    assert headers["X-RateLimit-Limit"] == "1000"


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/blue/reds/things/a", None, 404),
        ("/reds/things/a", "blue.localhost", 404),
        ("/nothing", None, 404),
        ("/red/nothing", None, 404),
        ("/reds/sums", None, 405),
        ("/red/reds/sums", None, 405),
        ("/reds/sums", "red.localhost", 405),
        ("/reds/broken", None, 500),
    ],
)
async def test_refusal__by_any_mount__is_an_api_s_own(
    unified: Unified, path: str, host: str | None, status: int
) -> None:
    got, body, headers = await unified.ask(path, host=host)

    assert got == status
    assert set(body) == {"oops", "said", "request"}
    assert body["request"] == headers["X-Request-Id"]
    if status == 405:
        assert headers["Allow"] == "POST"


async def test_path__that_two_have__answers_the_prefixes(unified: Unified) -> None:
    status, body, _ = await unified.ask("/both/x")

    assert status == 404
    assert "/red" in body["said"] and "/blue" in body["said"]
    assert (await unified.ask("/red/both/x"))[0] == 200
    assert (await unified.ask("/blue/both/x"))[0] == 204


async def test_path__that_two_have__goes_to_the_default(tmp_path: Path) -> None:
    toy = Toy()
    async with toy_core(tmp_path, AuthParts()) as core:
        app = unified_app(core, dialects(toy), HttpOptions(), default_dialect="blue")
        async with (
            Listener(
                app, host="127.0.0.1", port=0, setting="x", connections=ConnectionCounter()
            ) as listener,
            aiohttp.ClientSession() as session,
        ):
            assert (await Unified(listener.url, session, toy).ask("/both/x"))[0] == 204


async def test_docs__show_every_operation_without_foreign_parts(unified: Unified) -> None:
    status, page, headers = await unified.ask("/docs")

    assert status == 200
    for dialect in dialects(Toy()):
        for operation in dialect.operations:
            assert operation.summary in page
        assert f"/{dialect.name}/openapi.json" in page
    assert "<script" not in page
    assert "http" + "s://" not in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_docs__name_no_part_of_a_body_that_they_do_not_show() -> None:
    page = docs_page([openai_dialect(OpenAiOptions())])

    named = set(re.findall(r'href="#([^"]+)"', page))
    assert {"openai-ErrorBody", "openai-SpokenMessage"} <= named
    assert named <= set(re.findall(r'id="([^"]+)"', page))
    assert "#/components/schemas/" not in page


async def test_root__leads_to_the_docs(unified: Unified) -> None:
    status, _, headers = await unified.ask("/")

    assert (status, headers["Location"]) == (302, "/docs")


@pytest.mark.parametrize(
    ("path", "host"), [("/red/ws", None), ("/", "red.localhost"), ("/ws", "red.localhost")]
)
async def test_socket__follows_its_mounts(unified: Unified, path: str, host: str | None) -> None:
    headers = {} if host is None else {"Host": host}
    async with unified.session.ws_connect(unified.url + path, headers=headers) as socket:
        assert await socket.receive_str(timeout=5) == '{"hello":true}'


# ---------------------------------------------------------------- pages of browsers
@pytest.mark.parametrize("path", ["/reds/things/a", "/red/reds/things/a", "/nothing"])
async def test_page__that_is_listed__may_read_every_reply(unified: Unified, path: str) -> None:
    _, _, headers = await unified.ask(path, Origin=PAGE)

    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert headers["Vary"] == "Origin"


async def test_page__that_is_listed__may_read_a_stream(unified: Unified) -> None:
    await unified.toy.frames.put(b"1")
    await unified.toy.frames.put(None)
    _, _, headers = await unified.ask("/reds/stream", Origin=PAGE)

    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Access-Control-Allow-Origin"] == PAGE


async def test_page__that_is_listed__may_ask_beforehand(unified: Unified) -> None:
    status, _, headers = await unified.ask(
        "/reds/sums",
        method="OPTIONS",
        Origin=PAGE,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization",
    )

    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in headers["Access-Control-Allow-Methods"]
    allowed = headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "*"} <= set(allowed)  # any other, and the one that * does not mean


async def test_page__that_is_a_stranger__may_read_nothing(unified: Unified) -> None:
    origin = "https://page.example.evil.example"
    _, _, headers = await unified.ask("/reds/things/a", Origin=origin)
    _, _, preflight = await unified.ask(
        "/reds/sums", method="OPTIONS", Origin=origin, Access_Control_Request_Method="POST"
    )

    assert "Access-Control-Allow-Origin" not in headers
    assert "Access-Control-Allow-Origin" not in preflight


@pytest.mark.parametrize("path", ["/reds/things/a", "/red/reds/things/a", "/nothing-here", "/both"])
async def test_expectation__that_is_not_served__is_refused_in_the_api_s_words(
    unified: Unified, path: str
) -> None:
    status, body, headers = await unified.ask(path, Expect="a-miracle")

    assert (status, body["oops"]) == (400, "invalid_request")
    assert body["said"] == "Expect: nothing but 100-continue is served"
    assert headers["X-Request-Id"] == body["request"]


async def test_expectation__to_go_on__is_met(unified: Unified) -> None:
    assert (await unified.ask("/reds/things/a", Expect="100-continue"))[0] == 200


# ---------------------------------------------------------------- clients of other kinds
async def answered(unified: Unified, request: bytes) -> tuple[int, Any]:
    """To a request as it stands, on a connection of its own: status and JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(unified.url).port)
    writer.write(request)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        body = await reader.readexactly(int(length[1]))
    writer.close()
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /reds/things/a HTTP/1.0\r\n\r\n",
        b"GET /red/reds/things/a HTTP/1.0\r\n\r\n",
        b"GET /reds/things/a HTTP/1.1\r\nHost:\r\n\r\n",
    ],
)
async def test_request__that_names_no_host__is_served_by_its_path(
    unified: Unified, head: bytes
) -> None:
    assert await answered(unified, head) == (200, {"name": "a", "limit": 10})


@pytest.mark.parametrize(
    "head",
    [
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example:443 HTTP/1.1\r\nHost: example:443\r\n\r\n",
        b"GET /nothing HTTP/1.0\r\n\r\n",
    ],
)
async def test_request__for_what_is_no_path_of_ours__is_told_so(
    unified: Unified, head: bytes
) -> None:
    status, body = await answered(unified, head)

    assert (status, body["oops"]) == (404, "not_found")
