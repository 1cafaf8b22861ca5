"""Imports files and directory trees from disk, step by step, so that a caller can show progress."""

import stat
from collections.abc import Generator
from io import FileIO
from pathlib import Path

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.cid import ParsedCid
from decentralized_vllm.content.dag_builder import (
    BlockSink,
    DagNode,
    FileBuilder,
    build_directory,
    discard_block,
)
from decentralized_vllm.content.profiles import V1, ImportProfile
from decentralized_vllm.protocol.errors import ContentMalformed, ContentTooLarge
from decentralized_vllm.protocol.ids import Cid

# A multiple of every profile's chunk, so that chunks are hashed where they were read.
STEP_BYTES = 4 * 1024 * 1024

_Steps = Generator[bool, None, DagNode]


class TreeImport:
    """One import of a path. Call `step` until it says False, then read `root`."""

    def __init__(self, path: Path, profile: ImportProfile, sink: BlockSink) -> None:
        self._profile = profile
        self._sink = sink
        self._buffer = memoryview(bytearray(STEP_BYTES))
        self._root: DagNode | None = None
        self._steps = self._run(path)
        self.done_bytes = 0

    @property
    def root(self) -> DagNode:
        if self._root is None:
            raise RuntimeError("the import is not finished")
        return self._root

    def step(self) -> bool:
        """Reads and hashes up to 4 MiB. Raises ContentMalformed, ContentTooLarge, OSError and what
        the sink does."""
        return next(self._steps, False)

    def finish(self) -> DagNode:
        while self.step():
            pass
        return self.root

    def _run(self, path: Path) -> Generator[bool, None, None]:
        self._root = yield from self._import_path(path)

    def _import_path(self, path: Path) -> _Steps:
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            return (yield from self._import_directory(path))
        if stat.S_ISREG(mode):
            return (yield from self._import_file(path))
        raise ContentMalformed(
            f"{path} is neither a file nor a directory", hint="links are not followed"
        )

    def _import_directory(self, path: Path) -> _Steps:
        entries: dict[str, DagNode] = {}
        for child in sorted(path.iterdir()):
            entries[child.name] = yield from self._import_path(child)
        return build_directory(entries, self._profile, self._list_sink(path, len(entries)))

    def _list_sink(self, path: Path, n_entries: int) -> BlockSink:
        """A list is one block, and nobody takes a block over the limit."""

        def sink(cid: ParsedCid, block: bytes | memoryview) -> None:
            if len(block) > MAX_BLOCK_BYTES:
                raise ContentTooLarge(
                    f"{path}: its list of {n_entries} entries has {len(block)} bytes, "
                    f"more than {MAX_BLOCK_BYTES}",
                    hint="part it into several folders",
                )
            self._sink(cid, block)

        return sink

    def _import_file(self, path: Path) -> _Steps:
        builder = FileBuilder(self._profile, self._sink)
        with FileIO(path) as file:
            while size := _read_full(file, self._buffer):
                builder.feed(self._buffer[:size])
                self.done_bytes += size
                yield True
        return builder.finish()


def bytes_to_import(path: Path) -> int:
    """What `TreeImport.done_bytes` will have reached at the end, if nothing changes meanwhile."""
    files = (entry for entry in (path, *path.rglob("*")) if not entry.is_symlink())
    return sum(entry.stat().st_size for entry in files if entry.is_file())


def cid_of_bytes(data: bytes, profile: ImportProfile = V1) -> Cid:
    """The CID these bytes would be stored under, as one file."""
    builder = FileBuilder(profile, discard_block)
    builder.feed(data)
    return builder.finish().cid.text()


def cid_of_path(path: Path, profile: ImportProfile = V1) -> Cid:
    """The CID of a file or directory tree. Raises ContentMalformed (links, devices), OSError."""
    return TreeImport(path, profile, discard_block).finish().cid.text()


def _read_full(file: FileIO, buffer: memoryview) -> int:
    """Fills the buffer unless the file ends; a plain read may return less at any time."""
    size = 0
    while size < len(buffer):
        count = file.readinto(buffer[size:])
        if not count:
            break
        size += count
    return size
