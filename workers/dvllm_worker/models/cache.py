"""Fetches model directories by CID, checks them, and keeps the ones used last."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import ContentTooLarge, StorageFull, UnsafeModel
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits, Progress
from dvllm_worker.models.eviction import CachedModel, choose_victims
from dvllm_worker.models.served import ServedModel

SPARE_DISK_BYTES = 1 << 30  # for journal, store and logs

OpenOrigin = Callable[[ServedModel], AbstractAsyncContextManager[ContentReads]]


class ModelCache:
    """`<root>/<cid>` is a model that is whole and checked; `<root>/fetched` is still to be checked.

    `origin` is opened for each fetch, `blocks` learns what was fetched, `check` raises
    UnsafeModel. A broken fetch goes on where it stopped, also after a restart.
    """

    def __init__(
        self,
        root: Path,
        origin: OpenOrigin,
        blocks: FileBlocks,
        check: Callable[[Path], None],
        *,
        max_bytes: int,
        max_model_bytes: int,
    ) -> None:
        self._root = root
        self._origin = origin
        self._blocks = blocks
        self._check = check
        self._max_bytes = max_bytes
        self._max_model_bytes = max_model_bytes
        self._held: Counter[Cid] = Counter()
        self._one_at_a_time = asyncio.Lock()

    def limit(self, max_bytes: int) -> None:
        """From the next fetch on. What is held stays, also above the limit."""
        self._max_bytes = max_bytes

    @contextmanager
    def holding(self, cid: Cid) -> Iterator[None]:
        """While held, a model is not evicted."""
        self._held[cid] += 1
        try:
            yield
        finally:
            self._held[cid] -= 1
            if not self._held[cid]:
                del self._held[cid]

    async def ensure(self, model: ServedModel, *, progress: Progress | None = None) -> Path:
        """The model's directory.

        Raises InvalidCid, ContentUnavailable, the ContentErrors and StorageFull.
        """
        parse_cid(model.model_cid)  # the chain takes any text, and this one becomes a path
        path = self._root / model.model_cid
        async with self._one_at_a_time:
            if not path.is_dir():
                await self._bring(model, path, progress)
            await asyncio.to_thread(os.utime, path)
        return path

    async def _bring(self, model: ServedModel, path: Path, progress: Progress | None) -> None:
        fetched = self._root / "fetched" / model.model_cid
        if not fetched.is_dir():
            async with self._origin(model) as reads:
                await self._make_room(reads, model.model_cid)
                await self._fetch(reads, model.model_cid, fetched, progress)
        try:
            await asyncio.to_thread(self._check, fetched)
        except UnsafeModel:
            await self._blocks.forget(model.model_cid)
            await asyncio.to_thread(shutil.rmtree, fetched, ignore_errors=True)
            raise
        await asyncio.to_thread(os.rename, fetched, path)

    async def _fetch(
        self, reads: ContentReads, cid: Cid, fetched: Path, progress: Progress | None
    ) -> None:
        fetched.parent.mkdir(parents=True, exist_ok=True)
        limits = ContentLimits(max_bytes=self._max_model_bytes, max_blocks=2**31)
        record = self._blocks.recording(cid)
        await reads.fetch_tree(cid, fetched, limits=limits, progress=progress, record=record)

    async def _make_room(self, reads: ContentReads, cid: Cid) -> None:
        needed = await _size_of(reads, cid)
        if needed > self._max_model_bytes:
            raise ContentTooLarge(f"the model has {needed} bytes, more than models.max_model_bytes")
        self._root.mkdir(parents=True, exist_ok=True)
        victims = choose_victims(
            await asyncio.to_thread(self._cached),
            needed_bytes=needed,
            max_bytes=self._max_bytes,
            free_bytes=shutil.disk_usage(self._root).free - SPARE_DISK_BYTES,
            held=self._held,
        )
        for victim in victims:
            await self._blocks.forget(victim.cid)
            await asyncio.to_thread(shutil.rmtree, self._root / victim.cid)

    def _cached(self) -> list[CachedModel]:
        return [
            CachedModel(Cid(path.name), tree_bytes(path), path.stat().st_mtime)
            for path in self._root.iterdir()
            if path.is_dir() and path.name != "fetched"
        ]


async def _size_of(reads: ContentReads, cid: Cid) -> int:
    """By the publisher's word; the fetch itself counts what really comes."""
    directory = await reads.list_directory(cid)
    return sum(link.tree_bytes for link in directory.entries)


def tree_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def check_free_disk(path: Path, *, min_bytes: int = SPARE_DISK_BYTES // 4) -> None:
    """Raises StorageFull when there is hardly room to work at all."""
    free = shutil.disk_usage(path).free
    if free < min_bytes:
        raise StorageFull(f"only {free >> 20} MiB are free at {path}", hint="free some disk space")
