"""Sources of content that are slow, silent, endless or lying, each one in its own way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from decentralized_vllm.content.importer import cid_of_bytes

DATA = b"a prompt"
CID = cid_of_bytes(DATA)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ipld.raw\r\n"

Misbehave = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def source_that(misbehaves: Misbehave) -> AsyncIterator[str]:
    """A listener that reads a request's head and then does as told; yields its address."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await misbehaves(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
    while True:  # ends when the other side hangs up
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def hang(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()  # until the other side gives up


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


async def announce_huge(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 1000000000000\r\n\r\n")
    await hang(writer)


async def lie(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 8\r\nConnection: close\r\n\r\na prompT")


async def honest(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 8\r\nConnection: close\r\n\r\n" + DATA)


async def truncate(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Content-Length: 8\r\n\r\na pr")


async def redirect(writer: asyncio.StreamWriter) -> None:
    location = b"Location: http://169.254.169.254/latest/meta-data\r\n"
    writer.write(b"HTTP/1.1 302 Found\r\n" + location + b"Content-Length: 0\r\n\r\n")


async def overloaded(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


async def gibberish(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 not HTTP at all\r\n\r\n")
