"""Models on a node's disk: fetched once, checked, evicted by use."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import (
    InvalidCid,
    StorageFull,
    UnsafeModel,
)
from decentralized_vllm.protocol.ids import Cid, ModelId, VersionNumber
from dvllm_worker.models.cache import ModelCache
from dvllm_worker.models.eviction import CachedModel, choose_victims
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
    store: ContentReads, folder: Path, check: Callable[[Path], None] = lambda _: None
) -> AsyncIterator[tuple[ModelCache, FileBlocks]]:
    """Room for one of the models below."""

    @asynccontextmanager
    async def origin(_: ServedModel) -> AsyncIterator[ContentReads]:
        yield store

    async with FileBlocks(folder / "cache") as blocks:
        yield (
            ModelCache(
                folder / "cache", origin, blocks, check, max_bytes=4000, max_model_bytes=10_000
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
