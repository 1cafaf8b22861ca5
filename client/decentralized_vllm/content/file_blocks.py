"""Offers the blocks of trees that were fetched to disk, without keeping their bytes twice."""

import asyncio
import hashlib
import stat
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from decentralized_vllm.content.block_index import BlockIndex, LeafPlace, TreeRecord
from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.cid import ParsedCid, parse_cid
from decentralized_vllm.content.dag_pb import encode_data_node
from decentralized_vllm.content.disk import disk_errors
from decentralized_vllm.content.names import check_name
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.unixfs import encode_leaf
from decentralized_vllm.protocol.errors import ContentMalformed, ContentUnavailable
from decentralized_vllm.protocol.ids import Cid

_INDEX_NAME = "blocks.sqlite"


class FileBlocks(ContentReads):
    """Blocks of the trees `root/<cid>/`; an async context manager.

    It has what was recorded when it was fetched and is still the same on disk: bytes that no
    longer hash to their CID count as absent, since the folders belong to whoever uses the files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: BlockIndex | None = None

    async def __aenter__(self) -> Self:
        """Raises SettingError (not a database, no write access), StorageFull."""
        with disk_errors("data_dir", self._root):
            self._root.mkdir(parents=True, exist_ok=True)
        self._opened = await asyncio.to_thread(BlockIndex, self._root / _INDEX_NAME)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._index.close()
        self._opened = None

    def recording(self, tree: Cid) -> TreeRecord:
        """For the fetch of a tree that then becomes `root/<tree>`."""
        return TreeRecord(self._index, tree)

    async def forget(self, tree: Cid) -> None:
        """Before the tree is deleted."""
        await asyncio.to_thread(self._index.forget, tree)

    async def get_block(self, cid: Cid) -> bytes:
        block = await asyncio.to_thread(self._find, parse_cid(cid))
        if block is None:
            raise ContentUnavailable(f"the block {cid} is not here")
        return block

    async def has_block(self, cid: Cid) -> bool:
        """Reads it: only that tells whether the file is still the same."""
        return await asyncio.to_thread(self._find, parse_cid(cid)) is not None

    @property
    def _index(self) -> BlockIndex:
        if self._opened is None:
            raise RuntimeError("the blocks are not open")
        return self._opened

    def _find(self, cid: ParsedCid) -> bytes | None:
        for found in self._index.find(cid):
            block = found if isinstance(found, bytes) else self._read(found)
            if block is not None and hashlib.sha256(block).digest() == cid.digest:
                return block
        return None

    def _read(self, leaf: LeafPlace) -> bytes | None:
        """What is there now, not verified; None if nothing can be."""
        try:
            path = _path_below(self._root, leaf)
            data = _read_part(path, leaf.start, leaf.length)
        except (OSError, ContentMalformed):
            return None
        return encode_data_node(*encode_leaf(data)) if leaf.is_wrapped else data


def _path_below(root: Path, leaf: LeafPlace) -> Path:
    """Raises ContentMalformed for what leads elsewhere: an index can be damaged, too."""
    parts = (leaf.tree, *PurePosixPath(leaf.file).parts)
    for part in parts:
        check_name(part)
    return root.joinpath(*parts)


def _read_part(path: Path, start: int, length: int) -> bytes:
    """Raises OSError. A link or a device in the file's place is not read."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        file.seek(start)
        return file.read(max(0, min(length, MAX_BLOCK_BYTES)))
