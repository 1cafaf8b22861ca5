"""Base of the stores that keep blocks: importing, pinning and collecting over five primitives."""

import asyncio
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from decentralized_vllm.content.cid import RAW, ParsedCid, check_block, parse_cid
from decentralized_vllm.content.dag_builder import FileBuilder
from decentralized_vllm.content.gate import ImportGate
from decentralized_vllm.content.importer import TreeImport, bytes_to_import
from decentralized_vllm.content.profiles import V1, ImportProfile
from decentralized_vllm.content.reachable import Block, reachable_blocks
from decentralized_vllm.content.reads import VerifyingReads, check_size, parse_to_store
from decentralized_vllm.ending import in_thread
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import ContentError, ContentUnavailable
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import Progress

PINS_REMEMBERED = 4096
READ_THREADS = 4


@dataclass(frozen=True, slots=True)
class StoreUsage:
    n_blocks: int
    n_bytes: int
    max_bytes: int | None  # None: no limit


class Import:
    """Blocks on their way in. They are safe from the collector until the import ends."""

    def __init__(self, store: "PinningStore") -> None:
        self._store = store
        self._written: list[ParsedCid] = []

    def sink(self, cid: ParsedCid, block: bytes | memoryview) -> None:
        """A BlockSink; may run in a thread. Raises StorageFull, SettingError, ContentTooLarge."""
        check_size(block)
        self._store._write_block(cid, block)
        self._written.append(cid)

    async def flush(self) -> None:
        """Returns when everything given to `sink` is durable."""
        await asyncio.to_thread(self.flush_now)

    def flush_now(self) -> None:
        """As `flush`, for whoever is in a thread."""
        self._store._flush(self._written)
        self._written = []

    async def pin(self, root: Cid) -> None:
        """Makes what came in durable, then pins its root."""
        if self._written:
            await self.flush()
        await self._store._pin_together(parse_cid(root).text())


class PinningStore(VerifyingReads):
    """A store of one's own. The primitives below block; they are called in threads."""

    def __init__(self, profile: ImportProfile = V1) -> None:
        self.profile = profile
        # Of their own: who waits for a block must not wait for those who wait for the disk.
        self._read_threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="block-read")
        self._collector_thread = ThreadPoolExecutor(1, thread_name_prefix="block-collect")
        self._gate = ImportGate()
        self._pins_to_write = Grouped(self._write_pins)
        self._pinned_lately: OrderedDict[Cid, None] = OrderedDict()
        self._n_unpinned = 0

    @abstractmethod
    def _read_block(self, cid: ParsedCid) -> bytes:
        """Raises ContentUnavailable."""

    @abstractmethod
    def _write_block(self, cid: ParsedCid, block: bytes | memoryview) -> None:
        """Whole or not at all. Raises StorageFull."""

    @abstractmethod
    def _has_block(self, cid: ParsedCid) -> bool: ...

    @abstractmethod
    def _flush(self, written: list[ParsedCid]) -> None: ...

    @abstractmethod
    def _delete_all_but(self, keep: set[bytes]) -> list[bytes]:
        """Deletes the blocks whose multihash is not in `keep`; the multihashes they had."""

    @abstractmethod
    def _pin(self, cids: Sequence[Cid]) -> None:
        """All or none; durable when it returns."""

    @abstractmethod
    def _unpin(self, cid: Cid) -> None: ...

    @abstractmethod
    def _pinned(self) -> list[Cid]: ...

    @abstractmethod
    def _usage(self) -> StoreUsage: ...

    async def _block_is_bad(self, cid: ParsedCid) -> None:
        self._pinned_lately.clear()  # it may belong to any of them

    async def _load_block(self, cid: ParsedCid) -> bytes:
        return await in_thread(self._read_threads, partial(self._read_block, cid))

    async def has_block(self, cid: Cid) -> bool:
        return await in_thread(self._read_threads, partial(self._has_block, parse_cid(cid)))

    async def put_block(self, cid: Cid, block: bytes) -> None:
        """Kept until the next collection unless something pinned needs it."""
        async with self.importing() as run:
            await asyncio.to_thread(run.sink, parse_to_store(cid, block), block)

    @asynccontextmanager
    async def importing(self) -> AsyncIterator[Import]:
        """For whoever makes blocks by itself (the server, a fallback filling its cache)."""
        async with self._gate.adding():
            yield Import(self)

    async def add_bytes(self, data: bytes, *, profile: ImportProfile | None = None) -> Cid:
        async with self.importing() as run:
            root = await asyncio.to_thread(_written, run, data, profile or self.profile)
            await self._pin_together(root)
        return root

    async def add_path(
        self,
        path: Path,
        *,
        progress: Progress | None = None,
        profile: ImportProfile | None = None,
    ) -> Cid:
        """Raises ContentMalformed (links, devices, hostile names), OSError, StorageFull."""
        total_bytes = await asyncio.to_thread(bytes_to_import, path) if progress else None
        async with self.importing() as run:
            tree = TreeImport(path, profile or self.profile, run.sink)
            while await asyncio.to_thread(tree.step):
                if progress is not None:
                    progress(tree.done_bytes, total_bytes)
            root = tree.root.cid.text()
            await run.pin(root)
        return root

    async def pin(self, cid: Cid) -> None:
        """Raises ContentUnavailable unless the whole tree is here. Durable when it returns."""
        root = parse_cid(cid)
        if root.text() in self._pinned_lately:
            return
        async with self._gate.adding():
            await asyncio.to_thread(self._flush_tree, root)
            await self._pin_together(root.text())

    async def unpin(self, cid: Cid) -> None:
        """Not pinned is no error: the outcome is the same."""
        root = parse_cid(cid).text()
        self._forget_pin(root)
        try:
            await in_thread(self._read_threads, partial(self._unpin, root))
        finally:  # a pin that came meanwhile may be gone with it
            self._forget_pin(root)

    async def pins(self) -> list[Cid]:
        return await asyncio.to_thread(self._pinned)

    async def usage(self) -> StoreUsage:
        return await asyncio.to_thread(self._usage)

    async def collect_garbage(self) -> list[Cid]:
        """Deletes the blocks no pin needs and names them, as raw CIDs.

        Raises ContentUnavailable or ContentMismatch, and deletes nothing, if a pinned tree is
        damaged: what it needs can't be known.
        """
        async with self._gate.collecting():
            # Also for a caller who gives it up: nothing may be added while it deletes.
            deleted = await in_thread(self._collector_thread, self._collect)
        return [ParsedCid(1, RAW, multihash[2:]).text() for multihash in deleted]

    def _collect(self) -> list[bytes]:
        seen: set[Block] = set()
        for pinned in self._pinned():
            self._add_tree(pinned, seen)
        return self._delete_all_but({multihash for _, multihash in seen})

    def _add_tree(self, pinned: Cid, seen: set[Block]) -> None:
        try:
            for _ in reachable_blocks(parse_cid(pinned), self._read_checked, seen):
                pass
        except (ContentUnavailable, ContentError) as error:
            message = f"the pinned tree {pinned} is damaged: {error.message}"
            raise type(error)(message, hint="add it again, or unpin it") from error

    def _flush_tree(self, root: ParsedCid) -> None:
        self._flush(self._tree_blocks(root))

    async def _pin_together(self, cid: Cid) -> None:
        """Pins that come at the same time are one commit.

        A cancelled caller waits for it all the same, and keeps the gate closed meanwhile: the
        collector must not come between a tree and its pin.
        """
        n_unpinned = self._n_unpinned
        pinning = asyncio.ensure_future(self._pins_to_write(cid))
        try:
            await asyncio.wait([pinning])
        except asyncio.CancelledError:
            await asyncio.wait([pinning])
            raise
        pinning.result()
        if n_unpinned == self._n_unpinned:
            self._remember_pin(cid)

    def _forget_pin(self, cid: Cid) -> None:
        self._n_unpinned += 1  # a pin that is under way may come before or after
        self._pinned_lately.pop(cid, None)

    def _remember_pin(self, cid: Cid) -> None:
        self._pinned_lately[cid] = None
        if len(self._pinned_lately) > PINS_REMEMBERED:
            self._pinned_lately.popitem(last=False)

    async def _write_pins(self, cids: Sequence[Cid]) -> list[Exception | None]:
        await asyncio.to_thread(self._pin, cids)
        return [None] * len(cids)

    def _tree_blocks(self, root: ParsedCid) -> list[ParsedCid]:
        blocks = list(reachable_blocks(root, self._read_checked, set()))
        for cid in blocks:
            if cid.codec == RAW and not self._has_block(cid):
                raise ContentUnavailable(f"the block {cid.text()} is not here")
        return blocks

    def _read_checked(self, cid: ParsedCid) -> bytes:
        block = self._read_block(cid)
        check_block(cid, block)
        return block


def _written(run: Import, data: bytes, profile: ImportProfile) -> Cid:
    """In one trip to a thread: most files are as small as a prompt."""
    builder = FileBuilder(profile, run.sink)
    builder.feed(data)
    root = builder.finish().cid.text()
    run.flush_now()
    return root
