"""The ordered list that a node reads through: own store, peers, publisher, gateways."""

import logging
from collections.abc import Sequence
from pathlib import Path

from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import OrderedReads, first_block
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import StorageFull
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import Progress

_log = logging.getLogger(__name__)


class FallbackStore(OrderedReads):
    """`FallbackStore(own, [GatewayStore(...), ...])`.

    Reads go through in order, and what came from further away is kept in `own`. Adds, puts and pins
    go to `own`; `pin` fetches the tree first. It closes none of its parts.
    """

    def __init__(self, own: PinningStore, others: Sequence[ContentReads]) -> None:
        super().__init__([own, *others])
        self.own = own

    async def get_block(self, cid: Cid) -> bytes:
        index, block = await first_block(self._sources, cid)
        if index > 0:
            await self._keep(cid, block)
        return block

    async def put_block(self, cid: Cid, block: bytes) -> None:
        await self.own.put_block(cid, block)

    async def add_bytes(self, data: bytes) -> Cid:
        return await self.own.add_bytes(data)

    async def add_path(self, path: Path, *, progress: Progress | None = None) -> Cid:
        return await self.own.add_path(path, progress=progress)

    async def pin(self, cid: Cid) -> None:
        # Held open so that the collector can't take the first blocks before the last are here.
        async with self.own.importing():
            async for _ in self.blocks_below(cid):
                pass
            await self.own.pin(cid)

    async def unpin(self, cid: Cid) -> None:
        await self.own.unpin(cid)

    async def _keep(self, cid: Cid, block: bytes) -> None:
        """A full cache makes reads slower, not impossible."""
        try:
            await self.own.put_block(cid, block)
        except StorageFull as error:
            _log.warning("content_not_cached", extra={"cid": cid, "reason": error.message})
