"""Server-sent events, from the first byte to the last."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.support.toy_dialect import SECRET_TEXT
from tests.support.toy_server import Served, served_toy


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Served]:
    async with served_toy(tmp_path) as served:
        yield served


async def test_stream__of_frames__has_the_headers_and_each_frame_at_once(toy: Served) -> None:
    await toy.toy.frames.put(b'{"a":1}')
    async with toy.session.get(toy.url + "/toys/stream") as response:
        # Python's requests takes text without a charset for ISO-8859-1.
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["X-Request-Id"]
        assert response.headers["X-RateLimit-Limit"] == "1000"
        assert await response.content.readuntil(b"\n\n") == b'data: {"a":1}\n\n'
        await toy.toy.frames.put(b"[DONE]")
        assert await response.content.readuntil(b"\n\n") == b"data: [DONE]\n\n"
        await toy.toy.frames.put(None)
        assert await response.content.read() == b""


async def test_stream__that_is_silent__sends_comments(toy: Served) -> None:
    await toy.toy.frames.put(b"1")
    async with toy.session.get(toy.url + "/toys/stream") as response:
        await response.content.readuntil(b"\n\n")

        assert await response.content.readuntil(b"\n\n") == b": ping\n\n"
        await toy.toy.frames.put(None)


async def test_stream__that_fails_before_its_first_frame__has_a_status(toy: Served) -> None:
    await toy.toy.frames.put(b"break")
    status, body, _ = await toy.ask("GET", "/toys/stream")

    assert (status, body["oops"]) == (500, "internal")


async def test_stream__that_fails_later__breaks_off_without_an_end(toy: Served) -> None:
    await toy.toy.frames.put(b"1")
    async with toy.session.get(toy.url + "/toys/stream") as response:
        await toy.toy.frames.put(b"break")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()

        assert response.status == 200
        assert SECRET_TEXT not in str(response.headers)


async def test_stream__whose_reader_leaves__is_closed(toy: Served) -> None:
    await toy.toy.frames.put(b"1")
    async with toy.session.get(toy.url + "/toys/stream") as response:
        await response.content.readuntil(b"\n\n")
        response.close()

    async with asyncio.timeout(5):
        await toy.toy.was_closed.wait()
    registry = toy.options.metrics.registry
    assert registry.get_sample_value("dvllm_gateway_streams") == 0


async def test_stream__to_who_knows_no_chunks__ends_with_its_connection(toy: Served) -> None:
    for frame in (b"1", None):
        await toy.toy.frames.put(frame)
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(toy.url).port)
    writer.write(b"GET /toys/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    async with asyncio.timeout(10):
        told = await reader.read()
    writer.close()

    assert told.endswith(b"\r\n\r\ndata: 1\n\n")
