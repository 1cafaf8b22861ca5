"""The parts of a multipart upload, streamed."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from decentralized_vllm.content.server.arguments import BadArgument

T = TypeVar("T")

# A multiple of the default chunk, so that most chunks are hashed as they come.
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """One part. Read it to its end before taking the next."""

    path: str  # relative, "" if the client gave none
    is_directory: bool
    part: BodyPartReader

    async def pieces(self) -> AsyncIterator[bytes]:
        gathered = bytearray()
        while piece := await _parsed(self.part.read_chunk(_READ_BYTES)):
            gathered += piece
            if len(gathered) >= _READ_BYTES:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)


async def _parsed(reading: Awaitable[T]) -> T:
    """aiohttp tells a body that is no multipart, or the half of one, by plain ValueErrors."""
    try:
        return await reading
    except (ValueError, AssertionError, HttpProcessingError) as error:
        raise BadArgument("the multipart body is broken or cut off") from error


async def uploads(request: web.Request) -> AsyncIterator[Upload]:
    """Raises BadArgument (no multipart, a broken or cut one, links)."""
    if not request.content_type.startswith("multipart/"):
        raise BadArgument("the body must be multipart/form-data")
    reader = await _parsed(request.multipart())
    while (part := await _parsed(reader.next())) is not None:
        if not isinstance(part, BodyPartReader):
            raise BadArgument("nested multipart bodies are not supported")
        kind = part.headers.get("Content-Type", "").partition(";")[0]
        if kind == "application/symlink":
            raise BadArgument("symbolic links are not supported")
        # Some clients write paths from a root of their own; they are relative all the same.
        path = unquote(part.filename or "").removeprefix("/")
        yield Upload(path, kind == "application/x-directory", part)
