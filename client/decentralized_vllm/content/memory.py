"""A store in memory, for tests and for what need not last."""

import threading
from collections.abc import Sequence

from decentralized_vllm.content.cid import ParsedCid
from decentralized_vllm.content.profiles import V1, ImportProfile
from decentralized_vllm.content.store import PinningStore, StoreUsage
from decentralized_vllm.protocol.errors import ContentUnavailable, StorageFull
from decentralized_vllm.protocol.ids import Cid


class MemoryStore(PinningStore):
    """`MemoryStore(profile=V1, max_bytes=None)`; needs no opening or closing.

    `blocks` maps multihashes to bytes and is open to tests that damage it.
    """

    def __init__(self, profile: ImportProfile = V1, *, max_bytes: int | None = None) -> None:
        super().__init__(profile)
        self.blocks: dict[bytes, bytes] = {}
        self._pins: set[Cid] = set()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def _read_block(self, cid: ParsedCid) -> bytes:
        try:
            return self.blocks[cid.multihash]
        except KeyError:
            raise ContentUnavailable(f"the block {cid.text()} is not here") from None

    def _write_block(self, cid: ParsedCid, block: bytes | memoryview) -> None:
        with self._lock:
            if cid.multihash in self.blocks:
                return
            if self._max_bytes is not None and self._used() + len(block) > self._max_bytes:
                raise StorageFull(f"the store is limited to {self._max_bytes} bytes")
            self.blocks[cid.multihash] = bytes(block)

    def _has_block(self, cid: ParsedCid) -> bool:
        return cid.multihash in self.blocks

    def _flush(self, written: list[ParsedCid]) -> None:
        """Memory has nothing to make durable."""

    def _delete_all_but(self, keep: set[bytes]) -> list[bytes]:
        doomed = [key for key in self.blocks if key not in keep]
        for key in doomed:
            del self.blocks[key]
        return doomed

    async def _block_is_bad(self, cid: ParsedCid) -> None:
        await super()._block_is_bad(cid)
        self.blocks.pop(cid.multihash, None)

    def _pin(self, cids: Sequence[Cid]) -> None:
        self._pins.update(cids)

    def _unpin(self, cid: Cid) -> None:
        self._pins.discard(cid)

    def _pinned(self) -> list[Cid]:
        return sorted(self._pins)

    def _usage(self) -> StoreUsage:
        return StoreUsage(len(self.blocks), self._used(), self._max_bytes)

    def _used(self) -> int:
        return sum(map(len, self.blocks.values()))
