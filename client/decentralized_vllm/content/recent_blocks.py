"""Small blocks that were written lately, in memory: most are asked for moments later, if at all.

A prompt is added while its job is on the way to a block, and read when that block comes, at the
same time as all others of the block. A trip to a thread and the disk for each is what they would
wait for then.
"""

import threading
from collections import OrderedDict

MAX_BYTES = 8 << 20
MAX_BLOCK_BYTES = 64 << 10  # models come in larger ones, and would drive all prompts out
_OVERHEAD_BYTES = 200  # of a block in memory


class RecentBlocks:
    """By multihash, the oldest go first. Usable from any thread."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._blocks: OrderedDict[bytes, bytes] = OrderedDict()
        self._room = max_bytes
        self._lock = threading.Lock()

    def keep(self, multihash: bytes, block: bytes | memoryview) -> None:
        if len(block) > MAX_BLOCK_BYTES:
            return
        with self._lock:
            self._forget(multihash)
            self._blocks[multihash] = bytes(block)
            self._room -= len(block) + _OVERHEAD_BYTES
            while self._room < 0:
                self._forget(next(iter(self._blocks)))

    def find(self, multihash: bytes) -> bytes | None:
        return self._blocks.get(multihash)

    def forget(self, multihash: bytes) -> None:
        with self._lock:
            self._forget(multihash)

    def _forget(self, multihash: bytes) -> None:
        block = self._blocks.pop(multihash, None)
        if block is not None:
            self._room += len(block) + _OVERHEAD_BYTES
