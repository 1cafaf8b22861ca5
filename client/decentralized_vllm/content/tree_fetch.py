"""Fetches a tree to disk: parallel, resumable, and visible only when every byte is there."""

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES, Budget
from decentralized_vllm.content.cid import DAG_PB, RAW, ParsedCid, hash_block
from decentralized_vllm.content.dag_pb import encode_data_node
from decentralized_vllm.content.dag_reader import GetBlock
from decentralized_vllm.content.disk import disk_errors, sync_files, sync_folder
from decentralized_vllm.content.names import check_distinct
from decentralized_vllm.content.nodes import DirectoryNode, FileNode, decode_block
from decentralized_vllm.content.unixfs import encode_leaf
from decentralized_vllm.protocol.errors import ContentMalformed, SettingError
from decentralized_vllm.protocol.ports import ContentLimits, Progress


class Record(Protocol):
    """Is told where every verified block went. Its methods may block: they are called in threads.

    `file` is relative to the tree; a block of dag-pb that is told as a leaf is one UnixFS chunk.
    """

    def leaf(self, cid: ParsedCid, file: str, start: int, length: int) -> None: ...

    def node(self, cid: ParsedCid, block: bytes) -> None: ...

    def finish(self) -> None:
        """All blocks were told; the tree appears when this returns."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A node still to fetch. `file_bytes` None: an entry of which nothing is known yet."""

    cid: ParsedCid
    path: Path
    depth: int
    offset: int = 0
    file_bytes: int | None = None


class TreeFetch:
    """One fetch. The newest node is taken first, so what waits stays small."""

    def __init__(
        self,
        get_block: GetBlock,
        *,
        limits: ContentLimits,
        progress: Progress | None,
        record: Record | None,
        setting: str = "target",
    ) -> None:
        self._get_block = get_block
        self._setting = setting
        self._record = record
        self._staging: Path  # where the tree grows; known to `run`
        self._budget = Budget(limits)
        self._progress = progress
        self._queue: asyncio.LifoQueue[_Item] = asyncio.LifoQueue()
        self._files: list[Path] = []
        self._new: set[Path] = set()  # files in which an earlier call can have left nothing
        self._done_bytes = 0
        self._total_bytes: int | None = None

    async def run(self, root: ParsedCid, target: Path, *, parallel_blocks: int) -> None:
        target, self._staging = _places(target, root)
        with disk_errors(self._setting, target.parent):
            self._refuse_existing(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._queue.put_nowait(_Item(root, self._staging, 0))
            await self._drain(parallel_blocks)
            if self._record is not None:
                await asyncio.to_thread(self._record.finish)
            await asyncio.to_thread(_publish, self._files, self._staging, target)

    def _refuse_existing(self, target: Path) -> None:
        if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
            target.rmdir()
        if os.path.lexists(target):
            message = f"{target} exists already"
            raise SettingError(self._setting, message, hint="choose another folder")

    async def _drain(self, parallel_blocks: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(self._work()) for _ in range(parallel_blocks)]
                await self._queue.join()
                for worker in workers:
                    worker.cancel()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _work(self) -> None:
        while True:
            item = await self._queue.get()
            await self._fetch(item)
            self._queue.task_done()

    async def _fetch(self, item: _Item) -> None:
        self._budget.take_block(item.depth)
        if item.path not in self._new:
            present = await asyncio.to_thread(_bytes_present, item)
            if present is not None:
                self._file_seen(item, present)
                self._count(present)
                await self._tell_leaf(item, present)
                return
        block = await self._get_block(item.cid.text())
        node = decode_block(item.cid, block)
        if isinstance(node, DirectoryNode):
            await self._directory(item, node)
        else:
            await self._file_part(item, node)
        await self._tell(item, node, block)

    async def _directory(self, item: _Item, node: DirectoryNode) -> None:
        if item.file_bytes is not None:
            raise ContentMalformed(f"{item.cid.text()} is a directory inside a file")
        self._budget.take_files(len(node.entries))
        check_distinct(entry.name for entry in node.entries)
        if item.depth == 0:
            self._total_bytes = sum(entry.tree_bytes for entry in node.entries)
        await asyncio.to_thread(item.path.mkdir, exist_ok=True)
        for entry in reversed(node.entries):
            self._queue.put_nowait(_Item(entry.cid, item.path / entry.name, item.depth + 1))

    async def _file_part(self, item: _Item, node: FileNode) -> None:
        if item.file_bytes not in (None, node.file_bytes):
            raise ContentMalformed(f"{item.cid.text()} has not the size that its parent tells")
        self._file_seen(item, node.file_bytes)
        is_root = item.file_bytes is None
        if is_root and await asyncio.to_thread(_make_file, item.path, node.file_bytes):
            self._new.add(item.path)
        if node.data:
            await asyncio.to_thread(_write_at, item.path, item.offset, node.data)
            self._count(len(node.data))
        self._queue_parts(item, node)

    async def _tell(self, item: _Item, node: FileNode | DirectoryNode, block: bytes) -> None:
        """Nodes with bytes and parts are told to nobody: they would be kept twice."""
        if isinstance(node, FileNode) and not node.parts:
            await self._tell_leaf(item, len(node.data))
        elif self._record is not None and (isinstance(node, DirectoryNode) or not node.data):
            await asyncio.to_thread(self._record.node, item.cid, block)

    async def _tell_leaf(self, item: _Item, size: int) -> None:
        if self._record is not None:
            file = item.path.relative_to(self._staging).as_posix()
            await asyncio.to_thread(self._record.leaf, item.cid, file, item.offset, size)

    def _queue_parts(self, item: _Item, node: FileNode) -> None:
        offset = item.offset + len(node.data)
        parts = []
        for part in node.parts:
            parts.append(_Item(part.cid, item.path, item.depth + 1, offset, part.file_bytes))
            offset += part.file_bytes
        for entry in reversed(parts):
            self._queue.put_nowait(entry)

    def _file_seen(self, item: _Item, file_bytes: int) -> None:
        """Accounts for a file when its first node is met, before its bytes are fetched."""
        if item.file_bytes is not None:
            return
        self._budget.take_bytes(file_bytes)
        self._files.append(item.path)
        if item.depth == 0:
            self._total_bytes = file_bytes

    def _count(self, size: int) -> None:
        self._done_bytes += size
        if self._progress is not None:
            self._progress(self._done_bytes, self._total_bytes)


def _places(target: Path, root: ParsedCid) -> tuple[Path, Path]:
    """The whole path of the target, since "." has no name, and where it grows beside it."""
    target = target.absolute()
    return target, target.parent / f".{target.name}.{root.text()[-12:]}.partial"


def _bytes_present(item: _Item) -> int | None:
    """Size of this leaf when an earlier call has written it, else None."""
    size = item.file_bytes
    if size is None:
        if item.cid.codec != RAW or not item.path.is_file():
            return None
        size = item.path.stat().st_size
    if size > MAX_BLOCK_BYTES:
        return None
    with item.path.open("rb") as file:
        file.seek(item.offset)
        data = file.read(size)
    return size if _leaf_digest(item.cid, data) == item.cid.digest else None


def _leaf_digest(cid: ParsedCid, data: bytes) -> bytes:
    """Digest of the leaf block that holds these bytes, as the importer would have made it."""
    if cid.codec == RAW:
        return hashlib.sha256(data).digest()
    leaf = encode_data_node(*encode_leaf(data))
    return hash_block(leaf, version=0, codec=DAG_PB).digest


def _make_file(path: Path, size: int) -> bool:
    """Full size at once, sparse. False if an earlier call made it: its bytes stay, unchecked."""
    is_new = not path.exists()
    with path.open("wb" if is_new else "r+b") as file:
        file.truncate(size)
    return is_new


def _write_at(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _publish(files: list[Path], staging: Path, target: Path) -> None:
    sync_files(files, staging.parent)
    os.replace(staging, target)
    sync_folder(target.parent)
