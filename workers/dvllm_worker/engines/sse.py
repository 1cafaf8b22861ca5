"""Server-sent events out of bytes that arrive in any pieces."""

from collections.abc import Iterator

# The first event of an answer names every token of the prompt: some 7 bytes each.
MAX_EVENT_BYTES = 16 << 20


class EventTooLong(ValueError):
    """The server sends one event without an end."""


class SseParser:
    """Feed bytes, get the data of each whole event. Only `data:` lines matter here."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Raises EventTooLong."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > self._max_event_bytes:
            raise EventTooLong(f"an event is longer than {self._max_event_bytes} bytes")
        for line in lines:
            yield from self._take(line.removesuffix(b"\r"))

    def _take(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data, self._data = self._data, []
            yield b"\n".join(data)
