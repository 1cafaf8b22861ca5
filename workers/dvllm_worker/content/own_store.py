"""The node's own store, read in bursts: a block of many leases asks for many prompts at once."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from decentralized_vllm.content.cid import ParsedCid
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.ending import in_thread
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import ContentUnavailable, DvllmError


class OwnStore(LocalStore):
    """Blocks that are asked for together are read in one trip to a thread."""

    def __init__(self, root: Path, *, max_bytes: int | None, setting: str) -> None:
        super().__init__(root, max_bytes=max_bytes, setting=setting)
        self._reads: Grouped[ParsedCid, bytes] = Grouped(self._read_together)

    async def _load_from_disk(self, cid: ParsedCid) -> bytes:
        """Most prompts are elsewhere when they are asked for, and a look costs less than a trip."""
        if not self._has_block(cid):
            raise ContentUnavailable(f"the block {cid.text()} is not here")
        return await self._reads(cid)

    async def _read_together(self, cids: Sequence[ParsedCid]) -> Sequence[bytes | Exception]:
        return await in_thread(self._read_threads, partial(self._read_each, cids))

    def _read_each(self, cids: Sequence[ParsedCid]) -> Sequence[bytes | Exception]:
        return [self._block_or_error(cid) for cid in cids]

    def _block_or_error(self, cid: ParsedCid) -> bytes | Exception:
        try:
            return self._read_block(cid)
        except DvllmError as error:
            return error
