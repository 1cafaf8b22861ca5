"""Models on a node's disk: fetched once, checked, evicted by use."""

import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.model_files import check_model_listing
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import (
    ContentUnavailable,
    InvalidCid,
    SettingError,
    StorageFull,
    UnsafeModel,
)
from decentralized_vllm.protocol.ids import Cid, ModelId, VersionNumber
from decentralized_vllm.protocol.ports import ContentLimits
from dvllm_worker.models.cache import SPARE_DISK_BYTES, CheckListing, ModelCache, tree_bytes
from dvllm_worker.models.eviction import CachedModel, choose_victims
from dvllm_worker.models.listing import listed_files
from dvllm_worker.models.served import ServedModel

OLD = CachedModel(Cid("old"), 40, 1.0)
NEW = CachedModel(Cid("new"), 40, 2.0)


def victims(needed: int, *, held: frozenset[str] = frozenset(), free: int = 1000) -> list[str]:
    chosen = choose_victims(
        [NEW, OLD],
        needed_bytes=needed,
        max_bytes=100,
        free_bytes=free,
        held=frozenset(Cid(cid) for cid in held),
    )
    return [model.cid for model in chosen]


def test_eviction__room_enough__nobody_goes() -> None:
    assert victims(20) == []


def test_eviction__over_the_limit__least_recently_used_goes_first() -> None:
    assert victims(21) == ["old"]
    assert victims(61) == ["old", "new"]


def test_eviction__held_model__never_goes() -> None:
    assert victims(21, held=frozenset({"old"})) == ["new"]
    with pytest.raises(StorageFull, match=r"models\.max_bytes"):
        victims(61, held=frozenset({"old"}))


def test_eviction__disk_nearly_full__makes_room_there_too() -> None:
    assert victims(10, free=5) == ["old"]


async def model_in(store: MemoryStore, folder: Path, name: str, text: str) -> ServedModel:
    path = folder / name
    path.mkdir()
    (path / "config.json").write_text(text)
    return ServedModel(VersionNumber(1), ModelId(name), await store.add_path(path))


@asynccontextmanager
async def cache_over(
    store: ContentReads,
    folder: Path,
    check: Callable[[Path], None] = lambda _: None,
    check_listing: CheckListing = lambda names, sizes: None,
) -> AsyncIterator[tuple[ModelCache, FileBlocks]]:
    """Room for one of the models below."""

    @asynccontextmanager
    async def origin(_: ServedModel) -> AsyncIterator[ContentReads]:
        yield store

    async with FileBlocks(folder / "cache") as blocks:
        yield (
            ModelCache(
                folder / "cache",
                origin,
                blocks,
                check,
                check_listing,
                max_bytes=4000,
                max_model_bytes=10_000,
            ),
            blocks,
        )


async def test_cache__fetched_once_checked_and_evicted_by_use(tmp_path: Path) -> None:
    store, checked = MemoryStore(), []
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    second = await model_in(store, tmp_path, "second", "b" * 3000)
    async with cache_over(store, tmp_path, checked.append) as (cache, _):
        path = await cache.ensure(first)
        assert await cache.ensure(first) == path
        assert len(checked) == 1
        await cache.ensure(second)
        assert not path.exists()


async def test_cache__fetched_model__is_offered_until_it_is_evicted(tmp_path: Path) -> None:
    store = MemoryStore()
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    second = await model_in(store, tmp_path, "second", "b" * 3000)
    async with cache_over(store, tmp_path) as (cache, blocks):
        path = await cache.ensure(first)
        offered = [block async for block in blocks.blocks_below(first.model_cid)]
        assert offered == [block async for block in store.blocks_below(first.model_cid)]
        await cache.ensure(second)
        assert not path.exists()
        assert not await blocks.has_block(first.model_cid)
        assert await blocks.has_block(second.model_cid)


async def test_cache__model_being_served__is_not_evicted(tmp_path: Path) -> None:
    store = MemoryStore()
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    second = await model_in(store, tmp_path, "second", "b" * 3000)
    async with cache_over(store, tmp_path) as (cache, _):
        path = await cache.ensure(first)
        with cache.holding(first.model_cid), pytest.raises(StorageFull):
            await cache.ensure(second)
        assert path.exists()


async def test_cache__unsafe_model__refused_not_kept_and_not_offered(tmp_path: Path) -> None:
    store = MemoryStore()
    model = await model_in(store, tmp_path, "bad", "{}")

    def refuse(path: Path) -> None:
        raise UnsafeModel("it could run code")

    async with cache_over(store, tmp_path, refuse) as (cache, blocks):
        with pytest.raises(UnsafeModel):
            await cache.ensure(model)
        assert not (tmp_path / "cache" / model.model_cid).exists()
        assert not (tmp_path / "cache" / "fetched" / model.model_cid).exists()
        assert not await blocks.has_block(model.model_cid)


async def test_cache__cid_that_is_a_path__is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    model = ServedModel(VersionNumber(1), ModelId("odd"), Cid("../elsewhere"))
    async with cache_over(MemoryStore(), tmp_path) as (cache, _):
        with pytest.raises(InvalidCid):
            await cache.ensure(model)


class Cut(ContentReads):
    """A source that ends after so many blocks."""

    def __init__(self, inner: ContentReads, n_blocks: int) -> None:
        self._inner = inner
        self.n_left = n_blocks

    async def get_block(self, cid: Cid) -> bytes:
        if self.n_left == 0:
            raise ContentUnavailable("the line is cut")
        self.n_left -= 1
        return await self._inner.get_block(cid)

    async def has_block(self, cid: Cid) -> bool:
        return await self._inner.has_block(cid)


async def big_model_in(store: MemoryStore, folder: Path, name: str) -> ServedModel:
    """Of two files, 1500 bytes each."""
    path = folder / name
    path.mkdir()
    for file in ("config.json", "model.safetensors"):
        (path / file).write_text(f"{name} {file}".ljust(1500))
    return ServedModel(VersionNumber(1), ModelId(name), await store.add_path(path))


async def cut_off(store: MemoryStore, folder: Path, model: ServedModel) -> None:
    """Fetches one of its files."""
    target = folder / "cache" / "fetched" / model.model_cid
    limits = ContentLimits(max_bytes=10_000)
    with pytest.raises(ContentUnavailable):
        await Cut(store, 2).fetch_tree(model.model_cid, target, limits=limits, parallel_blocks=1)


async def test_cache__fetch_goes_on__needs_room_only_for_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    model = await big_model_in(store, tmp_path, "model")
    await cut_off(store, tmp_path, model)
    room = shutil.disk_usage(tmp_path)._replace(free=SPARE_DISK_BYTES + 2000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    async with cache_over(store, tmp_path) as (cache, _):
        path = await cache.ensure(model)
    assert sorted(file.stat().st_size for file in path.iterdir()) == [1500, 1500]


async def test_cache__broken_fetch_of_another_model__goes_when_its_room_is_needed(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    await cut_off(store, tmp_path, await big_model_in(store, tmp_path, "given up"))
    assert tree_bytes(tmp_path / "cache" / "fetched") == 1500
    async with cache_over(store, tmp_path) as (cache, _):
        await cache.ensure(await big_model_in(store, tmp_path, "model"))
    assert tree_bytes(tmp_path / "cache" / "fetched") == 0


async def test_cache__broken_fetch_of_a_held_model__stays(tmp_path: Path) -> None:
    store = MemoryStore()
    other = await big_model_in(store, tmp_path, "other")
    await cut_off(store, tmp_path, other)
    async with cache_over(store, tmp_path) as (cache, _):
        model = await big_model_in(store, tmp_path, "model")
        with cache.holding(other.model_cid), pytest.raises(StorageFull):
            await cache.ensure(model)
    assert tree_bytes(tmp_path / "cache" / "fetched") == 1500


async def test_cache__what_is_no_model_of_it__is_neither_counted_nor_deleted(
    tmp_path: Path,
) -> None:
    store, root = MemoryStore(), tmp_path / "cache"
    first = await model_in(store, tmp_path, "first", "a" * 3000)
    linked = await model_in(store, tmp_path, "linked", "b" * 3000)
    for folder in (root / "my own", root / "fetched" / "my own", root / ".hidden"):
        folder.mkdir(parents=True)
        (folder / "notes").write_text("n" * 3000)
    (root / linked.model_cid).symlink_to(tmp_path / "linked")  # it may be on another disk
    async with cache_over(store, tmp_path) as (cache, _):
        await cache.ensure(first)
        assert await cache.ensure(linked) == root / linked.model_cid
    assert len(list(root.rglob("notes"))) == 3


class Killed(BaseException):
    pass


async def test_cache__killed_while_a_model_goes__is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_half_way(path: Path, **_: object) -> None:
        if path.exists():
            (path / "config.json").unlink()
            raise Killed

    store = MemoryStore()
    first = await big_model_in(store, tmp_path, "first")
    second = await big_model_in(store, tmp_path, "second")
    async with cache_over(store, tmp_path) as (cache, _):
        await cache.ensure(first)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(shutil, "rmtree", killed_half_way)
            await cache.ensure(second)
    async with cache_over(store, tmp_path) as (cache, blocks):
        path = await cache.ensure(first)
        assert (path / "config.json").exists()
        assert await blocks.has_block(first.model_cid)
    assert tree_bytes(tmp_path / "cache" / "fetched") == 0  # nor does the half stay for ever


async def test_cache__unsafe_model_asked_for_again__is_not_fetched_again(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise UnsafeModel("it could run code", hint="use another")

    store = MemoryStore()
    model = await model_in(store, tmp_path, "bad", "{}")
    source = Cut(store, 100)
    async with cache_over(source, tmp_path, refuse) as (cache, _):
        for _try in range(2):
            with pytest.raises(UnsafeModel, match="run code") as caught:
                await cache.ensure(model)
            assert caught.value.hint == "use another"
            source.n_left = 0


async def test_cache__listing_names_a_file_that_no_model_has__nothing_of_it_is_fetched(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    model = await big_model_in(store, tmp_path, "bad")
    (tmp_path / "bad" / "code.py").write_text("import os")
    bad = replace(model, model_cid=await store.add_path(tmp_path / "bad"))
    source = Cut(store, 100)
    async with cache_over(source, tmp_path, check_listing=check_model_listing) as (cache, _):
        for _try in range(2):
            with pytest.raises(UnsafeModel, match=r"code\.py is not a kind of file"):
                await cache.ensure(bad)
            assert source.n_left == 99  # the directory alone was read
        await cache.ensure(model)


async def test_cache__model_that_makes_vectors__its_folders_are_looked_into(
    tmp_path: Path,
) -> None:
    store = MemoryStore()
    await big_model_in(store, tmp_path, "vectors")
    path = tmp_path / "vectors"
    (path / "modules.json").write_text("[]")
    for folder in ("1_Pooling", "2_Normalize"):
        (path / folder).mkdir()
        (path / folder / "config.json").write_text("{}")
    model = ServedModel(VersionNumber(1), ModelId("good"), await store.add_path(path))
    (path / "1_Pooling" / "pytorch_model.bin").write_bytes(b"pickled")
    bad = replace(model, model_cid=await store.add_path(path))
    async with cache_over(store, tmp_path, check_listing=check_model_listing) as (cache, _):
        await cache.ensure(model)
        with pytest.raises(UnsafeModel, match=r"1_Pooling/pytorch_model\.bin"):
            await cache.ensure(bad)
        assert not list((tmp_path / "cache" / "fetched").iterdir())


async def test_listed_files__of_several_blocks__never_larger_than_they_are(tmp_path: Path) -> None:
    store = MemoryStore()
    (tmp_path / "tokenizer.json").write_bytes(bytes(3 << 20))
    directory = await store.list_directory(await store.add_path(tmp_path))
    size = (await listed_files(store, directory))["tokenizer.json"]
    assert 2.9 * (1 << 20) < size <= 3 << 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_cache__folder_not_writable__names_the_setting(tmp_path: Path) -> None:
    store = MemoryStore()
    model = await model_in(store, tmp_path, "model", "{}")
    async with cache_over(store, tmp_path) as (cache, _):
        (tmp_path / "cache").chmod(0o500)
        with pytest.raises(SettingError, match="data_dir"):
            await cache.ensure(model)
        (tmp_path / "cache").chmod(0o700)


def test_tree_bytes__folder_goes_meanwhile__counts_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gone", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"12345")
    scandir = os.scandir

    def scandir_after_a_rename(path: os.PathLike[str] | str) -> object:
        if Path(path).name == "gone":
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_after_a_rename)
    assert tree_bytes(tmp_path) == 5
