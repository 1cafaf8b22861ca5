"""Counts what a read has cost so far and ends it at the limits."""

from decentralized_vllm.protocol.errors import ContentTooLarge
from decentralized_vllm.protocol.ports import ContentLimits

# Bitswap's limit, and twice the largest leaf of any profile.
MAX_BLOCK_BYTES = 2 * 1024 * 1024


class Budget:
    """One read's account. Each method raises ContentTooLarge, naming the limit."""

    def __init__(self, limits: ContentLimits) -> None:
        self.limits = limits
        self._blocks = self._bytes = self._files = 0

    def take_block(self, depth: int) -> None:
        """Counted per visit, not per CID: a small DAG can name one block a million times."""
        self._blocks += 1
        if self._blocks > self.limits.max_blocks:
            raise ContentTooLarge(f"more than {self.limits.max_blocks} blocks")
        if depth > self.limits.max_depth:
            raise ContentTooLarge(f"nested deeper than {self.limits.max_depth}")

    def take_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self.limits.max_bytes:
            raise ContentTooLarge(f"more than {self.limits.max_bytes} bytes")

    def take_files(self, count: int) -> None:
        self._files += count
        if self._files > self.limits.max_files:
            raise ContentTooLarge(f"more than {self.limits.max_files} files and directories")
