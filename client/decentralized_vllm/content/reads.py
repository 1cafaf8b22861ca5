"""Base of everything that content can be read from: verification and limits live here, once."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.cid import ParsedCid, check_block, parse_cid
from decentralized_vllm.content.dag_reader import (
    load_directory,
    load_node,
    resolve_path,
    stream_file,
    walk_blocks,
)
from decentralized_vllm.content.nodes import DirectoryNode, FileNode
from decentralized_vllm.content.tree_fetch import Record, TreeFetch
from decentralized_vllm.protocol.errors import ContentMismatch, ContentTooLarge
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits, Progress

UNLIMITED = ContentLimits(max_bytes=2**63, max_blocks=2**63, max_depth=64, max_files=2**63)


class ContentReads(ABC):
    """Files and directories over `get_block`, whose blocks are verified already."""

    @abstractmethod
    async def get_block(self, cid: Cid) -> bytes:
        """Raises ContentUnavailable, ContentMismatch, ContentTooLarge, InvalidCid."""

    @abstractmethod
    async def has_block(self, cid: Cid) -> bool: ...

    async def read_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Raises ContentTooLarge before a byte of an oversized file is kept."""
        limits = ContentLimits(max_bytes=max_bytes)
        return b"".join([data async for data in self.stream(cid, limits=limits)])

    def stream(
        self,
        cid: Cid,
        *,
        limits: ContentLimits = UNLIMITED,
        offset: int = 0,
        length: int | None = None,
    ) -> AsyncIterator[bytes]:
        """The bytes of one file in order."""
        root = parse_cid(cid)
        return stream_file(self.get_block, root, limits=limits, offset=offset, length=length)

    def blocks_below(
        self, cid: Cid, *, limits: ContentLimits = UNLIMITED
    ) -> AsyncIterator[tuple[ParsedCid, bytes]]:
        """Every distinct block of a tree, parents first: what to send to someone who lacks it."""
        return walk_blocks(self.get_block, parse_cid(cid), limits)

    async def load(self, cid: ParsedCid) -> FileNode | DirectoryNode:
        """The root node of a file or directory. Raises ContentMalformed for anything else."""
        return await load_node(self.get_block, cid)

    async def list_directory(self, cid: Cid) -> DirectoryNode:
        """Raises ContentMalformed for a file."""
        return await load_directory(self.get_block, parse_cid(cid))

    async def resolve(self, path: str) -> ParsedCid:
        """The CID that `CID/name/…` or `/ipfs/CID/name/…` leads to. Raises InvalidCid."""
        root, *names = [part for part in path.removeprefix("/ipfs/").split("/") if part] or [""]
        return await resolve_path(self.get_block, parse_cid(root), names)

    async def fetch_tree(
        self,
        cid: Cid,
        target: Path,
        *,
        limits: ContentLimits,
        progress: Progress | None = None,
        record: Record | None = None,
        parallel_blocks: int = 8,
        setting: str = "target",
    ) -> None:
        """Writes the tree to `target`, which appears only when it is whole.

        Until then the bytes are in a hidden folder beside it, where a later call goes on. A target
        that is there already raises SettingError: it was finished, by this or something else.
        `setting` is the name errors give the target.
        """
        fetch = TreeFetch(
            self.get_block, limits=limits, progress=progress, record=record, setting=setting
        )
        await fetch.run(parse_cid(cid), target, parallel_blocks=parallel_blocks)


class VerifyingReads(ContentReads):
    """A source of bytes that are not to be believed. Subclasses only move them."""

    @abstractmethod
    async def _load_block(self, cid: ParsedCid) -> bytes:
        """Raises ContentUnavailable, ContentTooLarge."""

    async def _block_is_bad(self, cid: ParsedCid) -> None:
        """Told when bytes were refused, so that a store can drop them."""

    async def get_block(self, cid: Cid) -> bytes:
        parsed = parse_cid(cid)
        block = await self._load_block(parsed)
        try:
            check_size(block)
            check_block(parsed, block)
        except (ContentMismatch, ContentTooLarge):
            await self._block_is_bad(parsed)
            raise
        return block


def check_size(block: bytes | memoryview) -> None:
    """Raises ContentTooLarge."""
    if len(block) > MAX_BLOCK_BYTES:
        raise ContentTooLarge(f"a block of {len(block)} bytes is over {MAX_BLOCK_BYTES}")


def parse_to_store(cid: Cid, block: bytes) -> ParsedCid:
    """The parsed CID of a block somebody wants kept. Raises InvalidCid and the ContentErrors."""
    parsed = parse_cid(cid)
    check_size(block)
    check_block(parsed, block)
    return parsed
