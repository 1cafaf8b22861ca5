"""Sees that clients of WebSockets mask their frames (RFC 6455, 5.1), which aiohttp lets pass."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

_HEAD_BYTES = 2
_MASK_BIT = 0x80
_MASK_BYTES = 4
_LENGTH_BYTES = {126: 2, 127: 8}  # that follow, by what the seven bits of the length say


@runtime_checkable
class WatchesMasks(Protocol):
    """A connection that can look at a socket's bytes before they are read."""

    def watch_masks(self, on_bare: Callable[[], None]) -> None:
        """From the next byte on, which is a frame's first."""


class MaskWatch:
    """Follows a client's frames by their heads, wherever the bytes are cut.

    `on_bare` is told of the first frame without a mask; nothing that follows it has a meaning.
    """

    def __init__(self, on_bare: Callable[[], None]) -> None:
        self._on_bare = on_bare
        self._is_over = False
        self._head = bytearray()
        self._n_to_skip = 0

    def lets_through(self, data: bytes) -> bool:
        if not self._is_over and not self._are_masked(data):
            self._is_over = True
            self._on_bare()
        return not self._is_over

    def _are_masked(self, data: bytes) -> bool:
        at = 0
        while at < len(data):
            if self._n_to_skip:
                n_skipped = min(self._n_to_skip, len(data) - at)
                self._n_to_skip -= n_skipped
                at += n_skipped
                continue
            self._head.append(data[at])
            at += 1
            if len(self._head) == _HEAD_BYTES and not self._head[1] & _MASK_BIT:
                return False
            self._n_to_skip = _bytes_behind(self._head)
            if self._n_to_skip:
                self._head.clear()
        return True


def _bytes_behind(head: bytearray) -> int:
    """Of mask and payload; 0 while the head is not whole."""
    if len(head) < _HEAD_BYTES:
        return 0
    length = head[1] & ~_MASK_BIT
    n_length_bytes = _LENGTH_BYTES.get(length, 0)
    if len(head) < _HEAD_BYTES + n_length_bytes:
        return 0
    if n_length_bytes:
        length = int.from_bytes(head[_HEAD_BYTES:])
    return _MASK_BYTES + length
