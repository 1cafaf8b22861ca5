"""Forms with files, as they come in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.support.toy_dialect import MAX_FORM_BYTES
from tests.support.toy_server import Served, served_toy

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Served]:
    async with served_toy(tmp_path) as served:
        yield served


def form(*files: bytes, title: str = "a title") -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("title", title)
    for number, file in enumerate(files):
        data.add_field("file", file, filename=f"{number}.bin")
    return data


async def test_form__with_files__comes_whole(toy: Served) -> None:
    status, body, _ = await toy.ask("POST", "/toys/form", data=form(b"x" * 100_000, b"", b"\r\n--"))

    assert status == 201
    assert body == {
        "fields": {"title": "a title"},
        "files": {"0.bin": 100_000, "1.bin": 0, "2.bin": 4},
    }


@pytest.mark.parametrize("chunked", [False, True])
async def test_form__larger_than_allowed__is_413(toy: Served, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(MAX_FORM_BYTES // 1000 + 10):
            yield b"x" * 1000
        yield b"\r\n--b--\r\n"

    data = pieces() if chunked else form(b"x" * MAX_FORM_BYTES)
    headers = BOUNDARY if chunked else {}
    status, body, _ = await toy.ask("POST", "/toys/form", data=data, headers=headers)

    assert (status, body["oops"]) == (413, "payload_too_large")


async def test_field__that_is_a_file_in_disguise__is_413(toy: Served) -> None:
    status, body, _ = await toy.ask("POST", "/toys/form", data=form(b"a file", title="x" * 70_000))

    assert (status, body["oops"]) == (413, "payload_too_large")


@pytest.mark.parametrize("kind", ["application/json", "multipart/mixed; boundary=b", "text/plain"])
async def test_body__that_is_no_form__is_415(toy: Served, kind: str) -> None:
    status, body, _ = await toy.ask(
        "POST", "/toys/form", data=b"{}", headers={"Content-Type": kind}
    )

    assert (status, body["oops"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("multipart/form-data", b"--b--\r\n"),
        ("multipart/form-data; boundary=" + "b" * 200, b"--b--\r\n"),
        (BOUNDARY["Content-Type"], b"nothing like a form"),
        (BOUNDARY["Content-Type"], b"--b\r\nno header"),
        (
            BOUNDARY["Content-Type"],
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nendless',
        ),
        (
            BOUNDARY["Content-Type"],
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
        ),
        (
            BOUNDARY["Content-Type"],
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n\r\n--b--\r\n",
        ),
    ],
    ids=[
        "no boundary",
        "long boundary",
        "garbage",
        "no head",
        "no end",
        "not UTF-8",
        "nested",
    ],
)
async def test_form__that_is_malformed__is_400(toy: Served, kind: str, data: bytes) -> None:
    status, body, _ = await toy.ask("POST", "/toys/form", data=data, headers={"Content-Type": kind})

    assert (status, body["oops"]) == (400, "invalid_request")


async def test_form__of_very_many_parts__is_400(toy: Served) -> None:
    part = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n"
    data = part * 1100 + b"--b--\r\n"
    status, body, _ = await toy.ask("POST", "/toys/form", data=data, headers=BOUNDARY)

    assert (status, body["oops"]) == (400, "invalid_request")


async def test_form__whose_sender_vanishes__ends(toy: Served) -> None:
    host, port = toy.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /toys/form HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await toy.ask("GET", "/toys/things/a"))[0] == 200
