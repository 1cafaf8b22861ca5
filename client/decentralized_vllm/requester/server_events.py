"""Server-sent events of a node, out of bytes that arrive in any pieces. A stranger sends them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from decentralized_vllm.protocol.errors import ContentUnavailable

MAX_EVENT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerEvent:
    name: str
    fields: dict[str, Any]


async def server_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """Raises ContentUnavailable for what is no stream of events, or one without an end."""
    reader = _Reader()
    async for piece in pieces:
        for event in reader.feed(piece):
            yield event


class _Reader:
    def __init__(self) -> None:
        self._name = "message"
        self._data: list[bytes] = []
        self._n_bytes = 0
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:])
                self._n_bytes += len(line)
            elif line.startswith(b"event:"):
                self._name = line[6:].strip().decode("utf-8", "replace")
            elif not line and self._data:
                yield ServerEvent(self._name, _fields(b"".join(self._data)))
                self._name, self._data, self._n_bytes = "message", [], 0
        if self._n_bytes + len(self._rest) > MAX_EVENT_BYTES:
            raise ContentUnavailable("a node sends an event without end")


def _fields(data: bytes) -> dict[str, Any]:
    try:
        fields = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise ContentUnavailable("a node sends broken events") from error
    return fields if isinstance(fields, dict) else {}
