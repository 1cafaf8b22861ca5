"""`add`: files and directory trees into the store, as they stream in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from decentralized_vllm.content.dag_builder import (
    BlockSink,
    DagNode,
    FileBuilder,
    build_directory,
    discard_block,
)
from decentralized_vllm.content.names import check_name
from decentralized_vllm.content.profiles import V0, V1, ImportProfile
from decentralized_vllm.content.server.answers import stream_lines, whole_lines
from decentralized_vllm.content.server.arguments import BadArgument, flag, number
from decentralized_vllm.content.server.uploads import Upload, uploads
from decentralized_vllm.content.store import Import, PinningStore
from decentralized_vllm.protocol.ids import Cid

# Options that would give another CID than ours; silently ignoring one would be a lie.
_UNSUPPORTED = ("trickle", "inline", "nocopy", "preserve-mode", "preserve-mtime")
_MIN_CHUNK_BYTES, _MAX_CHUNK_BYTES = 1024, 1024 * 1024

_Tree = dict[str, "DagNode | _Folder"]


@dataclass(slots=True)
class _Folder:
    entries: _Tree = field(default_factory=dict)


class AddCalls:
    def __init__(self, store: PinningStore) -> None:
        self._store = store

    def calls(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        return {"add": self.add}

    async def add(self, request: web.Request) -> web.StreamResponse:
        lines = self._lines(request)
        if flag(request, "progress"):
            return await stream_lines(request, lines)
        return whole_lines([line async for line in lines])

    async def _lines(self, request: web.Request) -> AsyncIterator[dict[str, Any]]:
        profile = profile_asked_for(request)
        only_hash = flag(request, "only-hash")
        progress = flag(request, "progress")
        async with self._store.importing() as run:
            adding = _Adding(profile, discard_block if only_hash else run.sink)
            async for upload in uploads(request):
                line = await adding.take(upload)
                if line is not None and progress:
                    yield line
            wraps = flag(request, "wrap-with-directory")
            roots = await asyncio.to_thread(_finished, adding, run, wraps)
            if flag(request, "pin", True) and not only_hash:
                for root in roots:
                    await run.pin(root)
        for line in adding.lines:
            yield line


class _Adding:
    """The state of one call: the tree so far and the lines to answer with."""

    def __init__(self, profile: ImportProfile, sink: BlockSink) -> None:
        self._profile = profile
        self._sink = sink
        self._top = _Folder()
        self.lines: list[dict[str, str]] = []

    async def take(self, upload: Upload) -> dict[str, Any] | None:
        """Stores one part; for a file, the line that tells its progress."""
        names = _names(upload.path)
        if upload.is_directory:
            self._folder(names)
            return None
        node = await self._file(upload)
        name = upload.path or node.cid.text()
        *folders, last = names or [name]
        entries = self._folder(folders).entries
        if last in entries:
            raise BadArgument(f"{name!r} was sent twice")
        entries[last] = node
        self._tell(name, node)
        return {"Name": name, "Bytes": node.file_bytes}

    async def _file(self, upload: Upload) -> DagNode:
        """Most files are one piece, which is one trip to a thread."""
        builder = FileBuilder(self._profile, self._sink)
        held_back = b""
        async for piece in upload.pieces():
            if held_back:
                await asyncio.to_thread(builder.feed, held_back)
            held_back = piece
        return await asyncio.to_thread(_fed_to_the_end, builder, held_back)

    def finish(self, wrap: bool) -> list[Cid]:
        """Builds the directories; the roots, which a pin is due for."""
        if wrap:
            return [self._build("", self._top).cid.text()]
        return [self._close(name, item).cid.text() for name, item in self._top.entries.items()]

    def _folder(self, names: list[str]) -> _Folder:
        folder = self._top
        for name in names:
            below = folder.entries.setdefault(name, _Folder())
            if not isinstance(below, _Folder):
                raise BadArgument(f"{name!r} is both a file and a directory")
            folder = below
        return folder

    def _build(self, path: str, folder: _Folder) -> DagNode:
        prefix = f"{path}/" if path else ""
        entries = {name: self._close(prefix + name, item) for name, item in folder.entries.items()}
        node = build_directory(entries, self._profile, self._sink)
        self._tell(path, node)
        return node

    def _close(self, path: str, item: "DagNode | _Folder") -> DagNode:
        return self._build(path, item) if isinstance(item, _Folder) else item

    def _tell(self, name: str, node: DagNode) -> None:
        cid = node.cid.text()
        self.lines.append({"Name": name, "Hash": cid, "Size": str(node.tree_bytes)})


def _fed_to_the_end(builder: FileBuilder, last: bytes) -> DagNode:
    builder.feed(last)
    return builder.finish()


def _finished(adding: _Adding, run: Import, wraps: bool) -> list[Cid]:
    """The roots, with everything below them durable."""
    roots = adding.finish(wraps)
    run.flush_now()
    return roots


def _names(path: str) -> list[str]:
    """Raises ContentMalformed (absolute, traversal, empty components)."""
    names = path.split("/") if path else []
    for name in names:
        check_name(name)
    return names


def profile_asked_for(request: web.Request) -> ImportProfile:
    """Kubo's defaults: version 0 unless asked, raw leaves with version 1. Raises BadArgument."""
    for name in _UNSUPPORTED:
        if flag(request, name):
            raise BadArgument(f"{name} is not supported")
    if request.query.get("hash", "sha2-256") != "sha2-256":
        raise BadArgument("only hash=sha2-256 is supported")
    version = number(request, "cid-version") or 0
    if version > 1:
        raise BadArgument("cid-version is 0 or 1")
    base = V1 if version else V0
    raw_leaves = flag(request, "raw-leaves", base.raw_leaves)
    max_links = number(request, "max-file-links") or base.max_links
    if not 2 <= max_links <= 1024:
        raise BadArgument("max-file-links is from 2 to 1024")
    return replace(
        base, raw_leaves=raw_leaves, chunk_bytes=_chunk_bytes(request), max_links=max_links
    )


def _chunk_bytes(request: web.Request) -> int:
    chunker = request.query.get("chunker") or "size-262144"
    kind, _, size = chunker.partition("-")
    if kind != "size" or not size.isascii() or not size.isdigit():
        raise BadArgument(f"chunker {chunker} is not supported, only size-N is")
    if not _MIN_CHUNK_BYTES <= int(size) <= _MAX_CHUNK_BYTES:
        raise BadArgument(f"chunks have {_MIN_CHUNK_BYTES} to {_MAX_CHUNK_BYTES} bytes")
    return int(size)
