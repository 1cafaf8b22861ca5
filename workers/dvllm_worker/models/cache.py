"""Fetches model directories by CID, checks them, and keeps the ones used last."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.disk import disk_errors
from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import ContentTooLarge, StorageFull, UnsafeModel
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits, Progress
from dvllm_worker.models.eviction import CachedModel, choose_victims
from dvllm_worker.models.folders import ModelFolders
from dvllm_worker.models.listing import listed_files
from dvllm_worker.models.served import ServedModel

SPARE_DISK_BYTES = 1 << 30  # for journal, store and logs

OpenOrigin = Callable[[ServedModel], AbstractAsyncContextManager[ContentReads]]
CheckListing = Callable[[Sequence[str], Sequence[int]], None]


class ModelCache:
    """Models are fetched below `root`, and whole ones stay there while there is room.

    `origin` is opened for each fetch, `blocks` learns what was fetched. `check_listing`, by names
    and sizes and before anything is fetched, and `check` raise UnsafeModel. A broken fetch goes on
    where it stopped, also after a restart.
    """

    def __init__(
        self,
        root: Path,
        origin: OpenOrigin,
        blocks: FileBlocks,
        check: Callable[[Path], None],
        check_listing: CheckListing,
        *,
        max_bytes: int,
        max_model_bytes: int,
    ) -> None:
        self._root = root
        self._folders = ModelFolders(root)
        self._origin = origin
        self._blocks = blocks
        self._check = check
        self._check_listing = check_listing
        self._max_bytes = max_bytes
        self._max_model_bytes = max_model_bytes
        self._held: Counter[Cid] = Counter()
        self._refused: dict[Cid, UnsafeModel] = {}  # the same bytes will not be better
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

        Raises InvalidCid, ContentUnavailable, the ContentErrors, StorageFull and SettingError.
        """
        cid = model.model_cid
        parse_cid(cid)  # the chain takes any text, and this one becomes a path
        path = self._folders.checked(cid)
        async with self._one_at_a_time:
            if cid in self._refused:
                refused = self._refused[cid]
                raise UnsafeModel(refused.message, hint=refused.hint)
            with disk_errors("data_dir", self._root):
                if not path.is_dir():
                    await self._bring(model, path, progress)
                await asyncio.to_thread(os.utime, path)
        return path

    async def _bring(self, model: ServedModel, path: Path, progress: Progress | None) -> None:
        cid = model.model_cid
        fetched = self._folders.fetched(cid)
        if not fetched.is_dir():
            async with self._origin(model) as reads:
                await self._make_room(cid, await self._check_listed(reads, cid))
                await self._fetch(reads, cid, fetched, progress)
        try:
            await asyncio.to_thread(self._check, fetched)
        except UnsafeModel as error:
            self._refused[cid] = error
            await self._remove(cid, [fetched])
            raise
        await asyncio.to_thread(os.rename, fetched, path)

    async def _check_listed(self, reads: ContentReads, cid: Cid) -> int:
        """The model's bytes. By the publisher's word; the fetch itself counts what really comes."""
        directory = await reads.list_directory(cid)
        needed = sum(link.tree_bytes for link in directory.entries)
        if needed > self._max_model_bytes:
            raise ContentTooLarge(f"the model has {needed} bytes, more than models.max_model_bytes")
        files = await listed_files(reads, directory)
        try:
            self._check_listing(list(files), list(files.values()))
        except UnsafeModel as error:
            self._refused[cid] = error
            raise
        return needed

    async def _fetch(
        self, reads: ContentReads, cid: Cid, fetched: Path, progress: Progress | None
    ) -> None:
        fetched.parent.mkdir(parents=True, exist_ok=True)
        limits = ContentLimits(max_bytes=self._max_model_bytes, max_blocks=2**31)
        record = self._blocks.recording(cid)
        await reads.fetch_tree(
            cid, fetched, limits=limits, progress=progress, record=record, setting="data_dir"
        )

    async def _make_room(self, cid: Cid, needed: int) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._folders.finish_removals)
        folders = await asyncio.to_thread(self._folders.by_model)
        here = folders.pop(cid, [])  # of a fetch that broke off
        victims = choose_victims(
            await asyncio.to_thread(_cached, folders),
            needed_bytes=needed,
            present_bytes=sum(map(tree_bytes, here)),
            max_bytes=self._max_bytes,
            free_bytes=shutil.disk_usage(self._root).free - SPARE_DISK_BYTES,
            held=self._held,
        )
        for victim in victims:
            await self._remove(victim.cid, folders[victim.cid])

    async def _remove(self, cid: Cid, folders: Sequence[Path]) -> None:
        await self._blocks.forget(cid)
        await asyncio.to_thread(self._folders.remove, cid, folders)


def _cached(folders: Mapping[Cid, Sequence[Path]]) -> list[CachedModel]:
    return [
        CachedModel(cid, sum(map(tree_bytes, paths)), max(path.stat().st_mtime for path in paths))
        for cid, paths in folders.items()
    ]


def tree_bytes(path: Path) -> int:
    """What its files take on the disk: one that is being fetched is not as long as it looks."""
    folders = os.walk(path)  # which leaves out what goes meanwhile
    return sum(_file_bytes(Path(folder, name)) for folder, _, names in folders for name in names)


def _file_bytes(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    n_blocks = getattr(found, "st_blocks", None)  # of 512 bytes; Windows does not tell
    return found.st_size if n_blocks is None else min(found.st_size, n_blocks * 512)


def check_free_disk(path: Path, *, min_bytes: int = SPARE_DISK_BYTES // 4) -> None:
    """Raises StorageFull when there is hardly room to work at all."""
    free = shutil.disk_usage(path).free
    if free < min_bytes:
        raise StorageFull(f"only {free >> 20} MiB are free at {path}", hint="free some disk space")
