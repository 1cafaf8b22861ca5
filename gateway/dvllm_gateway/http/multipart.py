"""Forms with files, part by part as they come in; nothing is kept in memory or on disk here."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from aiohttp import BodyPartReader, ClientPayloadError, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from dvllm_gateway.errors import InvalidRequest, PayloadTooLarge
from dvllm_gateway.http.bodies import Pace, check_announced, refuse_packed, require_content_type
from dvllm_gateway.services.own_time import waiting

MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 1024

_READ_BYTES = 256 * 1024
# What aiohttp's reader raises at a stranger's bytes.
_MALFORMED = (ValueError, AssertionError, ClientPayloadError, HttpProcessingError)


@dataclass(frozen=True, slots=True)
class FormField:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FormFile:
    """Read `pieces` to their end before taking the next part."""

    name: str
    file_name: str
    pieces: AsyncIterator[bytes]


async def form_parts(
    request: web.Request, *, max_bytes: int
) -> AsyncIterator[FormField | FormFile]:
    """`max_bytes` bounds the whole body.

    Raises UnsupportedMediaType (no form), PayloadTooLarge, and InvalidRequest for a form that is
    malformed, breaks off or comes too slowly.
    """
    require_content_type(request, "multipart/form-data")
    refuse_packed(request)
    check_announced(request, max_bytes)
    reader = _reader(request, max_bytes)
    for _ in range(MAX_PARTS):
        part = await _next_part(reader)
        if part is None:
            return
        name = part.name or ""
        if part.filename is None:
            yield FormField(name, await _value(part, name))
        else:
            yield FormFile(name, part.filename, _pieces(part))
    raise InvalidRequest(f"the form has more than {MAX_PARTS} parts")


class _CountedContent:
    """What aiohttp's reader of forms asks of a body, with a limit and a pace."""

    def __init__(self, content: StreamReader, max_bytes: int) -> None:
        self._content = content
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._pace = Pace()

    async def read(self, n_bytes: int = -1) -> bytes:
        with waiting():
            async with self._pace.timeout(self._n_bytes):
                return self._counted(await self._content.read(n_bytes))

    async def readline(self, **bounds: int) -> bytes:
        with waiting():
            async with self._pace.timeout(self._n_bytes):
                return self._counted(await self._content.readline(**bounds))

    def at_eof(self) -> bool:
        return self._content.at_eof()

    def unread_data(self, data: bytes) -> None:
        self._n_bytes -= len(data)
        self._content.unread_data(data)

    def _counted(self, data: bytes) -> bytes:
        self._n_bytes += len(data)
        if self._n_bytes > self._max_bytes:
            raise PayloadTooLarge(f"the body is larger than {self._max_bytes} bytes")
        return data


def _reader(request: web.Request, max_bytes: int) -> MultipartReader:
    content = _CountedContent(request.content, max_bytes)
    try:
        return MultipartReader(request.headers, cast("StreamReader", content))
    except (ValueError, AssertionError):
        raise InvalidRequest("Content-Type: names no usable boundary") from None


async def _next_part(reader: MultipartReader) -> BodyPartReader | None:
    try:
        part = await reader.next()
    except _MALFORMED:
        raise InvalidRequest("the form is malformed") from None
    if part is not None and not isinstance(part, BodyPartReader):
        raise InvalidRequest("forms within forms are not taken")
    return part


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await _read_chunk(part):
        yield piece


async def _value(part: BodyPartReader, name: str) -> str:
    value = bytearray()
    while piece := await _read_chunk(part):
        value += piece
        if len(value) > MAX_FIELD_BYTES:
            raise PayloadTooLarge(f"{name}: more than {MAX_FIELD_BYTES} bytes", field=name)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name}: not UTF-8", field=name) from None


async def _read_chunk(part: BodyPartReader) -> bytes:
    try:
        return await part.read_chunk(_READ_BYTES)
    except _MALFORMED:
        raise InvalidRequest("the form is malformed or breaks off") from None
