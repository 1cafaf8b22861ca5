"""Server-sent events: frames as they are made, a comment in silence, an end for who does not read.

aiohttp-sse costs five times as much for each frame, and separates them with CRLF.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress

from aiohttp import HttpVersion11, web

from dvllm_gateway.http.metrics import METRICS

PING_AFTER_S = 15.0
WRITE_TIMEOUT_S = 30.0
MAX_STREAM_S = 1800.0

_PING = b": ping\n\n"
_HEADERS = {
    # It is UTF-8 in any case, but some clients take text without a charset for ISO-8859-1.
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


def data_frame(data: bytes) -> bytes:
    """`data` is one line, as JSON is."""
    return b"data: " + data + b"\n\n"


async def stream_events(
    request: web.Request,
    frames: AsyncGenerator[bytes, None],
    *,
    headers: Mapping[str, str] | None = None,
    ping_after_s: float = PING_AFTER_S,
) -> web.StreamResponse:
    """Writes whole frames until they end.

    What is raised before the first frame still becomes a reply with a status; what is raised later
    breaks the stream off, so frames tell failures themselves. `frames` is closed in any case.
    """
    async with aclosing(frames):
        first = await anext(frames)
        response = web.StreamResponse(headers={**_HEADERS, **(headers or {})})
        if request.version < HttpVersion11:  # has no chunks: nothing but its end tells the end
            response.force_close()
        await response.prepare(request)
        async with _watched(request, response, ping_after_s) as line:
            await line.send(first)
            async for frame in frames:
                await line.send(frame)
        await response.write_eof()
        return response


class _Line:
    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._now_s = asyncio.get_running_loop().time
        self._sent_s = self._now_s()
        self._is_sending = False

    async def send(self, frame: bytes) -> None:
        self._sent_s = self._now_s()
        self._is_sending = True
        await self._response.write(frame)
        self._is_sending = False

    @property
    def silent_s(self) -> float:
        return self._now_s() - self._sent_s

    @property
    def is_stuck(self) -> bool:
        return self._is_sending and self.silent_s >= WRITE_TIMEOUT_S

    @property
    def is_sending(self) -> bool:
        return self._is_sending


@asynccontextmanager
async def _watched(
    request: web.Request, response: web.StreamResponse, ping_after_s: float
) -> AsyncIterator[_Line]:
    """One watch for each stream, so that a frame costs no timer."""
    line = _Line(response)
    metrics = request[METRICS]
    metrics.streams.inc()
    watch = asyncio.create_task(_watch(line, request, ping_after_s))
    try:
        yield line
    finally:
        metrics.streams.dec()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _watch(line: _Line, request: web.Request, ping_after_s: float) -> None:
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(MAX_STREAM_S):
            await _keep_alive(line, ping_after_s)
    if request.transport is not None:
        request.transport.abort()


async def _keep_alive(line: _Line, ping_after_s: float) -> None:
    """Ends when the reader does not read."""
    while not line.is_stuck:
        await asyncio.sleep(max(ping_after_s / 10, ping_after_s - line.silent_s))
        if not line.is_sending and line.silent_s >= ping_after_s:
            await line.send(_PING)
