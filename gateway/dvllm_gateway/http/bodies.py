"""Request bodies as they come in: counted, paced, and never believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientPayloadError, web

from dvllm_gateway.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

BODY_GRACE_S = 10.0
MIN_BYTES_PER_S = 1000


def require_content_type(request: web.Request, *accepted: str) -> None:
    """Raises UnsupportedMediaType, also for packed bodies."""
    sent = request.content_type
    if sent not in accepted:
        names = " or ".join(accepted)
        raise UnsupportedMediaType(f"Content-Type: must be {names}", field="Content-Type")
    charset = (request.charset or "utf-8").lower()
    if sent == "application/json" and charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("Content-Type: JSON is UTF-8", field="Content-Type")


class Pace:
    """How long a body may take: a grace, and then as long as enough of it comes."""

    def __init__(self) -> None:
        self._until_s = asyncio.get_running_loop().time() + BODY_GRACE_S

    @asynccontextmanager
    async def timeout(self, n_bytes: int) -> AsyncIterator[None]:
        """Around the next read after `n_bytes`. Raises InvalidRequest."""
        try:
            async with asyncio.timeout_at(self._until_s + n_bytes / MIN_BYTES_PER_S):
                yield
        except TimeoutError:
            raise InvalidRequest("the body came too slowly") from None


async def pieces(request: web.Request, *, max_bytes: int) -> AsyncIterator[bytes]:
    """The raw body, piece by piece.

    Raises PayloadTooLarge as soon as it is known, and InvalidRequest for a body that comes slower
    than MIN_BYTES_PER_S after a grace, or breaks off.
    """
    refuse_packed(request)
    check_announced(request, max_bytes)
    pace = Pace()
    n_bytes = 0
    while True:
        async with pace.timeout(n_bytes):
            piece = await _next_piece(request)
        if not piece:
            return
        n_bytes += len(piece)
        if n_bytes > max_bytes:
            raise _too_large(max_bytes)
        yield piece


async def read_whole(request: web.Request, *, max_bytes: int) -> bytes:
    """Raises what `pieces` raises."""
    if not request.body_exists:
        return b""
    return b"".join([piece async for piece in pieces(request, max_bytes=max_bytes)])


async def _next_piece(request: web.Request) -> bytes:
    try:
        return await request.content.readany()
    except (ClientPayloadError, web.HTTPException, ValueError):
        raise InvalidRequest("the body is not complete") from None


def refuse_packed(request: web.Request) -> None:
    """A packed body may be a million times larger than what is counted."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding: send it unpacked", field="Content-Encoding")


def check_announced(request: web.Request, max_bytes: int) -> None:
    if request.content_length is not None and request.content_length > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {max_bytes} bytes")
