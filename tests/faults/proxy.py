"""A TCP proxy that misbehaves on request: put it before a chain, a store or an engine.

    async with FaultProxy("127.0.0.1", port) as proxy:
        client = Client(proxy.url)
        proxy.fault = Fault.HANG      # from the next request on
        proxy.fault = None            # and all is well again

It understands as much HTTP/1.1 as it takes to answer a request wrongly; what it passes on, it
passes on byte by byte, websockets included.
"""

import asyncio
import re
from collections import Counter
from contextlib import suppress
from enum import Enum, auto
from types import TracebackType
from typing import Self

DRIP_PAUSE_S = 1.0
CHUNK_BYTES = 1 << 16


class Fault(Enum):
    REFUSE = auto()  # closes each connection at once
    HANG = auto()  # takes the request and never answers
    DRIP = auto()  # passes the answer on, a byte a second
    TRUNCATE = auto()  # passes half of the answer on, then closes
    DROP_AFTER_ACCEPT = auto()  # the upstream gets the request, the client no answer
    WRONG_ANSWER = auto()  # answers `wrong_answer` itself
    STATUS = auto()  # answers with `status` and no body


class FaultProxy:
    """`only` (a regular expression over the request's bytes) limits the fault to some requests.

    `times` limits it to so many of them; None is for ever. `counts` says what was done so far.
    In `wrong_answer`, "$id" becomes the request's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.fault: Fault | None = None
        self.only: bytes | None = None
        self.times: int | None = None
        self.status = 503
        self.wrong_answer = b"{}"
        self.counts: Counter[Fault | None] = Counter()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Breaks every connection there is, as a lost network does."""
        for task in self._tasks:
            task.cancel()

    def answer_once(self, body: bytes, *, only: bytes) -> None:
        """The next request that matches gets this answer, all others the truth."""
        self.fault, self.wrong_answer, self.only, self.times = Fault.WRONG_ANSWER, body, only, 1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault is Fault.REFUSE and self.only is None:
            self.counts[Fault.REFUSE] += 1
            return
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
        try:
            while True:
                request = await _message(reader)
                fault = self._fault_for(request)
                self.counts[fault] += 1
                if fault is None and b"upgrade: websocket" in request[:4096].lower():
                    upstream_writer.write(request)
                    await _both_ways(reader, writer, upstream_reader, upstream_writer)
                    return
                if fault is not None and not await self._misbehave(
                    fault, request, writer, upstream_reader, upstream_writer
                ):
                    return
                if fault is None:
                    upstream_writer.write(request)
                    writer.write(await _message(upstream_reader))
                    await writer.drain()
        finally:
            upstream_writer.close()

    def _fault_for(self, request: bytes) -> Fault | None:
        matches = self.only is None or re.search(self.only, request) is not None
        if self.fault is None or not matches or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.fault

    async def _misbehave(
        self,
        fault: Fault,
        request: bytes,
        writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
    ) -> bool:
        """Whether the connection goes on."""
        if fault is Fault.REFUSE:
            return False
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        if fault is Fault.STATUS:
            writer.write(b"HTTP/1.1 %d Fault\r\ncontent-length: 0\r\n\r\n" % self.status)
            return True
        if fault is Fault.WRONG_ANSWER:
            writer.write(_response(_with_id_of(request, self.wrong_answer)))
            return True
        upstream_writer.write(request)
        answer = await _message(upstream_reader)
        if fault is Fault.TRUNCATE:
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
        if fault is Fault.DRIP:
            for byte in answer:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(DRIP_PAUSE_S)
        return False


def _with_id_of(request: bytes, answer: bytes) -> bytes:
    found = re.search(rb'"id": *(\d+)', request)
    return answer.replace(b'"$id"', found[1] if found else b"null")


def _response(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One request or response with its body, whatever says how long that is."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if length:
        return head + await reader.readexactly(int(length[1]))
    if re.search(rb"transfer-encoding: *chunked", head, re.IGNORECASE):
        return head + await _chunks(reader)
    return head


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size_line = await reader.readuntil(b"\r\n")
        size = int(size_line.split(b";")[0], 16)
        body += size_line + await reader.readexactly(size + 2)
        if size == 0:
            return bytes(body)


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream_writer: asyncio.StreamWriter,
) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_pump(reader, upstream_writer))
        group.create_task(_pump(upstream_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()
