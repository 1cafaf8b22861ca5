"""WebSockets of every API: what is said, what is refused, and who is let go."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.toy_server import Served, served_toy
from tests.support.waiting import wait_until


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Served]:
    async with served_toy(tmp_path, sockets_per_address=2) as served:
        yield served


async def text_of(socket: aiohttp.ClientWebSocketResponse) -> str:
    return str(await socket.receive_str(timeout=5))


def n_sockets(toy: Served) -> float | None:
    registry = toy.options.metrics.registry
    return registry.get_sample_value("dvllm_gateway_sockets", {"dialect": "toy"})


async def test_socket__that_is_opened__hears_and_is_heard(toy: Served) -> None:
    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        assert await text_of(socket) == '{"hello":true}'
        await socket.send_str('{"a":1}')

        assert await text_of(socket) == "{'a': 1}"


async def test_socket__that_an_address_has_too_many_of__is_429_before_the_upgrade(
    toy: Served,
) -> None:
    async with (
        toy.session.ws_connect(toy.url + "/ws"),
        toy.session.ws_connect(toy.url + "/ws"),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await toy.session.ws_connect(toy.url + "/ws")

    assert refused.value.status == 429
    assert refused.value.headers is not None and refused.value.headers["Retry-After"]
    async with toy.session.ws_connect(toy.url + "/ws") as socket:  # there is room again
        assert await text_of(socket)


async def test_socket__asked_for_without_an_upgrade__is_400_in_the_api_s_words(
    toy: Served,
) -> None:
    status, body, _ = await toy.ask("GET", "/ws")

    assert (status, body["oops"]) == (400, "invalid_request")


MANY_FIELDS = json.dumps(dict.fromkeys(map(str, range(100)), 1))
MANY_LISTS = '{"a":[' + "[]," * 2000 + "[]]}"


@pytest.mark.parametrize(
    "frame", ["no json", "[1]", "[" * 100_000, '{"a":NaN}', MANY_FIELDS, MANY_LISTS]
)
async def test_frame__that_is_malformed__is_answered_and_the_third_ends_it(
    toy: Served, frame: str
) -> None:
    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        await text_of(socket)
        for _ in range(3):
            await socket.send_str(frame)
            assert await text_of(socket) == '{"oops":"invalid_request"}'
        await socket.receive(timeout=5)

        assert socket.close_code == 1003


async def test_frame__larger_than_a_megabyte__ends_the_socket(toy: Served) -> None:
    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        await text_of(socket)
        await socket.send_str('{"a":"' + "x" * 1_000_001 + '"}')
        await socket.receive(timeout=5)

        assert socket.close_code == 1009


async def test_frame__that_is_refused__leaves_the_socket_open(toy: Served) -> None:
    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        await text_of(socket)
        await socket.send_str('{"refuse":1}')
        assert await text_of(socket) == '{"oops":"no_capacity"}'
        await socket.send_str('{"a":1}')

        assert await text_of(socket) == "{'a': 1}"


async def test_reader__that_falls_behind__is_let_go_with_1013(toy: Served) -> None:
    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        await text_of(socket)
        (client,) = toy.toy.clients
        for _ in range(300):  # without a pause, so that nothing can be written in between
            client.send(b'{"news":1}')
        while not socket.closed:
            await socket.receive(timeout=5)

        assert socket.close_code == 1013
    metrics = toy.options.metrics.registry
    labels = {"kind": "socket"}
    assert metrics.get_sample_value("dvllm_gateway_slow_readers_total", labels) == 1


async def test_large_frames__sent_in_turn__wait_for_each_other_and_come_in_order(
    toy: Served,
) -> None:
    frames = [json.dumps({"n": n, "text": "x" * 100_000}) for n in range(50)]
    n_taken = 0

    async def replay() -> None:
        nonlocal n_taken
        for frame in frames:
            await client.send_in_turn(frame.encode())
            n_taken += 1

    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        await text_of(socket)
        (client,) = toy.toy.clients
        replaying = asyncio.create_task(replay())
        await asyncio.sleep(0)  # one turn, in which nothing can be written
        assert n_taken <= 1

        assert [await text_of(socket) for _ in frames] == frames
        await replaying


async def test_client__that_leaves__is_forgotten(toy: Served) -> None:
    async with toy.session.ws_connect(toy.url + "/ws") as socket:
        await text_of(socket)
    await wait_until(lambda: n_sockets(toy) == 0, what="the end of the socket")


async def test_ping__that_stays_unanswered__ends_the_socket(tmp_path: Path) -> None:
    async with (
        served_toy(tmp_path, ping_every_s=0.4) as toy,
        toy.session.ws_connect(toy.url + "/ws", autoping=False) as socket,
    ):
        await text_of(socket)
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.PING
        await wait_until(lambda: n_sockets(toy) == 0, what="the end of the socket")


# ---------------------------------------------------------------- frames as they come
@asynccontextmanager
async def opened_by_hand(
    toy: Served,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of whose every byte the test decides, past the first frame that it is told."""
    host, port = toy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + b64encode(b"k" * 16) + b"\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        assert await frame_from(reader) == (1, b'{"hello":true}')
        yield reader, writer
    finally:
        writer.close()


async def frame_from(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of a short one."""
    first, length = await reader.readexactly(2)
    return first & 15, await reader.readexactly(length)


def masked(text: bytes) -> bytes:
    """A text frame of a client; a mask of zeros changes nothing."""
    length = bytes([128 + len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
    return b"\x81" + length + bytes(4) + text


async def test_frames__that_are_masked__are_heard_however_they_are_cut(toy: Served) -> None:
    sent = masked(b"{}") + masked(b'{"a":"%s"}' % (b"x" * 300)) + masked(b'{"b":1}')
    async with opened_by_hand(toy) as (reader, writer):
        for piece in (sent[:1], sent[1:9], sent[9:11], sent[11:100], sent[100:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)

        assert await frame_from(reader) == (1, b"{}")
        assert (await reader.readuntil(b"}")).endswith(b"{'a': '%s'}" % (b"x" * 300))
        assert await frame_from(reader) == (1, b"{'b': 1}")


async def test_frame__without_a_mask__is_not_heard_and_ends_the_socket(toy: Served) -> None:
    async with opened_by_hand(toy) as (reader, writer):
        writer.write(masked(b"{}"))
        assert await frame_from(reader) == (1, b"{}")
        writer.write(b"\x81\x02{}")

        opcode, payload = await frame_from(reader)
        assert (opcode, int.from_bytes(payload[:2])) == (8, 1002)
        assert await asyncio.wait_for(reader.read(), timeout=20) == b""
