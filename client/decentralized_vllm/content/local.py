"""The embedded store: blocks in files, pins in SQLite, one process at a time."""

import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

from decentralized_vllm.content.cid import ParsedCid, check_block
from decentralized_vllm.content.disk import disk_errors, sync_files
from decentralized_vllm.content.flatfs import FlatFs
from decentralized_vllm.content.pins import PinTable
from decentralized_vllm.content.profiles import V1, ImportProfile
from decentralized_vllm.content.reads import check_size
from decentralized_vllm.content.recent_blocks import RecentBlocks
from decentralized_vllm.content.store import PinningStore, StoreUsage
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    KeyInUse,
    SettingError,
    StorageFull,
)
from decentralized_vllm.protocol.ids import Cid


class LocalStore(PinningStore):
    """`async with LocalStore(root, profile=V1, max_bytes=None) as store:`, or open() and close().

    `setting` is the name errors give the folder. `max_bytes` limits the blocks, not the disk.
    """

    def __init__(
        self,
        root: Path,
        profile: ImportProfile = V1,
        *,
        max_bytes: int | None = None,
        setting: str = "store",
    ) -> None:
        super().__init__(profile)
        self._root = root
        self._setting = setting
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._tally = threading.Lock()
        self._files = FlatFs(root)
        self._recent = RecentBlocks()
        self._process_lock = filelock.FileLock(root / "store.lock", thread_local=False)
        self._pin_table: PinTable | None = None

    def open(self) -> None:
        """Raises KeyInUse (another process holds it), SettingError, StorageFull."""
        with disk_errors(self._setting, self._root):
            self._make_root()
            self._take_lock()
            try:
                self._files.open()
                self._pin_table = PinTable(self._root / "pins.sqlite", setting=self._setting)
                self._used_bytes = sum(size for _, size in self._files.entries())
            except BaseException:
                self._process_lock.release()
                raise

    def close(self) -> None:
        """Closing twice is no error."""
        if self._pin_table is not None:
            self._pin_table.close()
            self._pin_table = None
        self._process_lock.release()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _make_root(self) -> None:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise SettingError(self._setting, f"{self._root} is not a folder") from error

    def _take_lock(self) -> None:
        try:
            self._process_lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise KeyInUse(
                self._setting,
                f"another process has opened {self._root}",
                hint="use its server instead (--api), or another folder",
            ) from error

    @property
    def _pins(self) -> PinTable:
        if self._pin_table is None:
            raise RuntimeError("the store is not open")
        return self._pin_table

    async def _load_block(self, cid: ParsedCid) -> bytes:
        block = self._recent.find(cid.multihash)
        return await self._load_from_disk(cid) if block is None else block

    async def _load_from_disk(self, cid: ParsedCid) -> bytes:
        return await super()._load_block(cid)

    def _read_block(self, cid: ParsedCid) -> bytes:
        with disk_errors(self._setting, self._root):
            try:
                return self._files.read(cid.multihash)
            except FileNotFoundError as error:
                raise ContentUnavailable(f"the block {cid.text()} is not here") from error

    def _write_block(self, cid: ParsedCid, block: bytes | memoryview) -> None:
        """What is there already is compared: whoever adds it has the bytes to mend it with."""
        if self._files.holds(cid.multihash, block):
            return
        self._reserve(len(block))
        n_taken = 0
        try:
            with disk_errors(self._setting, self._root):
                n_taken = self._files.write(cid.multihash, block)
        finally:  # nothing if it failed or came by another thread, less if damage gave way
            self._reserve(n_taken - len(block))
        self._recent.keep(cid.multihash, block)

    def _reserve(self, n_bytes: int) -> None:
        with self._tally:
            used = self._used_bytes + n_bytes
            if self._max_bytes is not None and n_bytes > 0 and used > self._max_bytes:
                raise StorageFull(
                    f"the store is limited to {self._max_bytes} bytes",
                    hint="unpin what is not needed and collect, or raise the limit",
                )
            self._used_bytes = used

    def _has_block(self, cid: ParsedCid) -> bool:
        return self._files.has(cid.multihash)

    def _flush(self, written: list[ParsedCid]) -> None:
        with disk_errors(self._setting, self._root):
            paths = [self._files.path(cid.multihash) for cid in written]
            sync_files(paths, self._root)

    def _delete_all_but(self, keep: set[bytes]) -> list[bytes]:
        with disk_errors(self._setting, self._root):
            doomed = [(key, size) for key, size in self._files.entries() if key not in keep]
            for key, size in doomed:
                self._files.delete(key)
                self._recent.forget(key)
                self._reserve(-size)
        return [key for key, _ in doomed]

    async def _block_is_bad(self, cid: ParsedCid) -> None:
        """A damaged file would count as present for ever; now a good copy can take its place."""
        await super()._block_is_bad(cid)
        self._recent.forget(cid.multihash)
        with disk_errors(self._setting, self._root):
            self._reserve(-self._files.delete_if(cid.multihash, partial(_is_bad, cid)))

    def _pin(self, cids: Sequence[Cid]) -> None:
        self._pins.add(cids)

    def _unpin(self, cid: Cid) -> None:
        self._pins.remove(cid)

    def _pinned(self) -> list[Cid]:
        return self._pins.all()

    def _usage(self) -> StoreUsage:
        entries = list(self._files.entries())
        n_bytes = sum(size for _, size in entries)
        return StoreUsage(len(entries), n_bytes, self._max_bytes)


def _is_bad(cid: ParsedCid, block: bytes) -> bool:
    try:
        check_size(block)
        check_block(cid, block)
    except (ContentMismatch, ContentTooLarge):
        return True
    return False
