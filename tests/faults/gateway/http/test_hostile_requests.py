"""Requests that are meant to hurt: each gets an answer in the API's words, or is cut off."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json
from yarl import URL

from dvllm_gateway.http import bodies, sse
from tests.support.auth_parts import NOW_S
from tests.support.toy_server import Served, served_toy
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Served]:
    async with served_toy(tmp_path, head_timeout_s=0.5, connections_per_address=5) as served:
        yield served


async def raw(toy: Served, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """All that comes back until the server closes, or is silent for a second after the last."""
    host, port = toy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reader.read(), timeout=20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def refusal(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    return int(head.split(b" ")[1]), from_json(body)


# ---------------------------------------------------------------- slow ones
async def test_head__that_never_ends__is_cut_off(toy: Served) -> None:
    began_s = time.monotonic()
    answer = await raw(toy, b"GET / HTTP/1.1\r\n", *([b"X: y\r\n"] * 100), pause_s=0.1)

    assert answer == b""
    assert time.monotonic() - began_s < 15


async def test_body__that_drips__is_refused(toy: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_GRACE_S", 0.5)
    head = (
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\nConnection: close\r\n\r\n"
    )
    status, body = refusal(await raw(toy, head, b"{"))

    assert (status, body["oops"]) == (400, "invalid_request")


async def test_body__that_never_ends__is_refused_and_cut_off(toy: Served) -> None:
    head = (
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"[" * 65536 + b"\r\n"
    host, port = toy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head)

    async def pour() -> int:
        n_bytes = 0
        while not writer.is_closing():
            writer.write(chunk)
            await writer.drain()
            n_bytes += len(chunk)
        return n_bytes

    pouring = asyncio.create_task(pour())
    status, body = refusal(await asyncio.wait_for(reader.readuntil(b"}"), timeout=10))
    assert (status, body["oops"]) == (413, "payload_too_large")
    async with asyncio.timeout(20):  # and the connection does not stay for the rest
        await asyncio.wait((pouring,))
    writer.close()
    await asyncio.gather(pouring, return_exceptions=True)


# ---------------------------------------------------------------- headers that are no text
async def test_key__of_bytes_that_are_no_text__is_400(toy: Served) -> None:
    head = (
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nIdempotency-Key: cl\xe9\r\nContent-Length: 14\r\n"
        b"Connection: close\r\n\r\n"
    )
    answer = await raw(toy, head % toy.key.encode(), b'{"numbers":[]}')

    assert refusal(answer)[0] == 400
    assert toy.toy.n_sums == 0


async def test_digest__of_bytes_that_are_no_text__is_400(toy: Served) -> None:
    signed = {"Authorization": "Signature 0x11", "X-Wallet-Address": "0x" + "11" * 20}
    signed |= {"X-Wallet-Timestamp": str(int(NOW_S)), "X-Wallet-Nonce": "n" * 16}
    signed |= {"Host": "localhost:8001", "Content-Length": "0", "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items()).encode()
    head = b"POST /toys/form HTTP/1.1\r\n" + lines + b"X-Content-Digest: cl\xe9\r\n\r\n"

    assert refusal(await raw(toy, head))[0] == 400


async def test_connections__of_one_address__are_bounded(toy: Served) -> None:
    host, port = toy.url.removeprefix("http://").split(":")
    held = [await asyncio.open_connection(host, int(port)) for _ in range(5)]
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /toys/things/a HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), timeout=5) == b""
        writer.close()
    finally:
        for _, writer in held:
            writer.close()


async def test_reader__that_takes_no_stream__is_let_go(
    toy: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "WRITE_TIMEOUT_S", 0.5)
    host, port = toy.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET /toys/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(2000):
        toy.toy.frames.put_nowait(b"x" * 10_000)

    await wait_until(toy.toy.was_closed.is_set, what="the end of the stream", patience_s=20)
    writer.close()


# ---------------------------------------------------------------- malformed ones
async def test_bytes__that_are_no_http__are_refused_in_the_api_s_words(toy: Served) -> None:
    status, body = refusal(await raw(toy, b"\x16\x03\x01 hello\r\n\r\n"))

    assert (status, body["oops"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["long path", "long header", "many headers", "negative", "two lengths", "smuggling"],
)
async def test_head__that_is_malformed__is_400(toy: Served, head: bytes) -> None:
    status, body = refusal(await raw(toy, head))

    assert (status, body["oops"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"numbers": [1], "numbers": "x"}',
        b'{"numbers": ["1"]}',
        b'{"numbers": [true]}',
        b'{"numbers": [1.0]}',
        b'{"numbers": [1e400]}',
        b'{"numbers": [NaN]}',
        b'{"numbers": [1], "more": 1}',
        b'{"numbers": [1], "nested": "\\ud800"}',
        b'{"numbers": [1], "nested": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"numbers": [1], "nested": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}",
        b"[" * 900_000,
        b'{"numbers": [' + b"9" * 100_000 + b"]}",
    ],
    ids=lambda data: data[:30].decode(errors="replace"),
)
async def test_json__that_is_not_what_it_should_be__is_400(toy: Served, data: bytes) -> None:
    status, body, _ = await toy.ask("POST", "/toys/sums", data=data, headers={**toy.own, **JSON})

    assert (status, body["oops"]) == (400, "invalid_request")
    assert toy.toy.n_sums == 0


async def test_json__nested_just_enough__is_taken(toy: Served) -> None:
    data = b'{"numbers": [1], "nested": ' + b"[" * 31 + b"]" * 31 + b"}"
    assert (await toy.ask("POST", "/toys/sums", data=data, headers={**toy.own, **JSON}))[0] == 200


async def test_json__with_brackets_in_a_text__is_not_deep(toy: Served) -> None:
    data = b'{"numbers": [1], "nested": "' + b"[{" * 1000 + b'\\""}'
    assert (await toy.ask("POST", "/toys/sums", data=data, headers={**toy.own, **JSON}))[0] == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
async def test_body__of_another_kind__is_415(toy: Served, kind: str) -> None:
    status, body, _ = await toy.ask(
        "POST", "/toys/sums", data=b"{}", headers={**toy.own, "Content-Type": kind}
    )

    assert (status, body["oops"]) == (415, "unsupported_media_type")


async def test_body__that_is_packed__is_415(toy: Served) -> None:
    bomb = gzip.compress(b"[" * 10_000_000)
    headers = {**toy.own, **JSON, "Content-Encoding": "gzip"}
    status, body, _ = await toy.ask("POST", "/toys/sums", data=bomb, headers=headers)

    assert (status, body["oops"]) == (415, "unsupported_media_type")


async def test_body__announced_as_too_large__is_413_before_it_is_read(toy: Served) -> None:
    head = (
        b"POST /toys/sums HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n"
    )
    status, body = refusal(await raw(toy, head))

    assert (status, body["oops"]) == (413, "payload_too_large")


async def test_get__with_a_body__is_answered_without_reading_it(toy: Served) -> None:
    status, _, _ = await toy.ask("GET", "/toys/things/a", data=b"x" * 1000, headers=JSON)

    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "//", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/toys/things", 405),
        ("OPTIONS", "/toys/sums", 405),
        ("PROPFIND", "/toys/sums", 405),
        ("GET", "/toys/things/%00%ff", 200),
        ("GET", "/toys/things/a?limit=%ff", 400),
    ],
)
async def test_path_or_method__that_is_odd__is_answered_in_the_api_s_words(
    toy: Served, method: str, path: str, status: int
) -> None:
    async with toy.session.request(method, URL(toy.url + path, encoded=True)) as response:
        body = await response.json()

    assert response.status == status
    assert status == 200 or set(body) == {"oops", "said", "request"}
    assert response.headers["X-Request-Id"]
    assert response.headers["X-RateLimit-Limit"]
