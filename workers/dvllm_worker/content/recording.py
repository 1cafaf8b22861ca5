"""Reads that remember what came from afar, so that it can be kept once nobody waits for it."""

from collections.abc import Sequence

from decentralized_vllm.content.cid import ParsedCid, parse_cid
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import OrderedReads, first_block
from decentralized_vllm.protocol.ids import Cid

Block = tuple[ParsedCid, bytes]


class RecordingReads(OrderedReads):
    """Reads from `own`, then from `others` in order. For one tree: what it holds is in memory."""

    def __init__(self, own: ContentReads, others: Sequence[ContentReads]) -> None:
        super().__init__([own, *others])
        self._blocks: list[Block] = []
        self._has_all = True

    @property
    def to_keep(self) -> Sequence[Block]:
        """All that was read, unless `own` had it all: by then it may have dropped what it had."""
        return () if self._has_all else self._blocks

    async def get_block(self, cid: Cid) -> bytes:
        index, block = await first_block(self._sources, cid)
        self._blocks.append((parse_cid(cid), block))
        self._has_all = self._has_all and index == 0
        return block
