"""How RPC calls answer: JSON lines, byte streams, and errors before or inside them."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from aiohttp import web

from decentralized_vllm.content.server.arguments import BadArgument
from decentralized_vllm.protocol.errors import DvllmError


def error_response(error: DvllmError) -> web.Response:
    """Kubo's shape: 400 for bad arguments, 500 for all else."""
    bad = isinstance(error, BadArgument)
    body = {"Message": error.message, "Code": 1 if bad else 0, "Type": "error"}
    return web.json_response(body, status=400 if bad else 500)


_LINES = {"Content-Type": "application/json", "X-Chunked-Output": "1"}


async def stream_lines(
    request: web.Request, lines: AsyncIterator[Mapping[str, Any]]
) -> web.StreamResponse:
    """Newline-separated JSON, each line as it comes."""
    return await stream(request, (_json_line(line) async for line in lines), _LINES)


def whole_lines(lines: Iterable[Mapping[str, Any]]) -> web.Response:
    """The same, of lines that there are already: one write for all."""
    return web.Response(body=b"".join(map(_json_line, lines)), headers=_LINES)


def _json_line(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"


async def stream(
    request: web.Request, pieces: AsyncIterator[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    """An error before the first piece is a proper answer; later it goes into the trailer."""
    first = await anext(pieces, b"")
    response = web.StreamResponse(headers={**headers, "Trailer": "X-Stream-Error"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        if first:
            await response.write(first)
        async for piece in pieces:
            await response.write(piece)
    except DvllmError as error:
        _end_with_trailer(request, error)
    return response


def _end_with_trailer(request: web.Request, error: DvllmError) -> None:
    """aiohttp writes no trailers: the last chunk is written here, and the connection ends."""
    message = "".join(char if " " <= char <= "~" else "?" for char in error.message)
    if request.transport is not None:
        request.transport.write(b"0\r\nX-Stream-Error: " + message.encode("ascii") + b"\r\n\r\n")
        request.transport.close()
    raise ConnectionResetError("ended by an error in the trailer") from error
