"""What every store of one's own does; the memory fake passes the same suite as the disk."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decentralized_vllm.content.cid import RAW, hash_block, parse_cid
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.profiles import V0, V1, ImportProfile
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import (
    ContentMalformed,
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    InvalidCid,
    StorageFull,
)
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits, ContentStore
from tests.support.cid_vectors import load_vectors, sample_bytes, write_sample
from tests.support.trees import contents

VECTORS = load_vectors()["cids"]
LIMITS = ContentLimits(max_bytes=10_000_000)
ABSENT = cid_of_bytes(b"nobody has this")


@pytest.fixture(params=["memory", "local"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PinningStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with LocalStore(tmp_path / "store") as local:
        yield local


async def test_add_bytes__any_file__is_pinned_and_read_back(store: PinningStore) -> None:
    port: ContentStore = store
    cid = await port.add_bytes(b"a prompt")
    assert cid == cid_of_bytes(b"a prompt")
    assert await port.read_bytes(cid, max_bytes=8) == b"a prompt"
    assert await store.pins() == [cid]


@pytest.mark.parametrize("profile", [V0, V1])
async def test_add_path__tree__has_the_recorded_cid(
    store: PinningStore, tmp_path: Path, profile: ImportProfile
) -> None:
    tree = write_sample("tree", tmp_path)
    seen: list[tuple[int, int | None]] = []
    cid = await store.add_path(
        tree, profile=profile, progress=lambda done, total: seen.append((done, total))
    )
    assert cid == VECTORS["tree"][profile.name]
    assert seen == sorted(seen) and seen[-1] == (1_300_023, 1_300_023)


@pytest.mark.parametrize("profile", [V0, V1])
async def test_fetch_tree__added_tree__is_equal(
    store: PinningStore, tmp_path: Path, profile: ImportProfile
) -> None:
    tree = write_sample("tree", tmp_path)
    cid = await store.add_path(tree, profile=profile)
    await store.fetch_tree(cid, tmp_path / "out" / "copy", limits=LIMITS)
    assert contents(tmp_path / "out" / "copy") == contents(tree)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["copy"]


async def test_read_bytes__over_the_limit__is_refused(store: PinningStore) -> None:
    cid = await store.add_bytes(sample_bytes(300_000))
    with pytest.raises(ContentTooLarge):
        await store.read_bytes(cid, max_bytes=299_999)
    assert len(await store.read_bytes(cid, max_bytes=300_000)) == 300_000


async def test_read_bytes__directory__is_malformed(store: PinningStore, tmp_path: Path) -> None:
    cid = await store.add_path(write_sample("tree2", tmp_path))
    with pytest.raises(ContentMalformed, match="directory"):
        await store.read_bytes(cid, max_bytes=10)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 3), (262_143, 2), (262_144, 1), (500_000, 200_000), (599_999, 9), (600_000, 5), (7, 0)],
)
async def test_stream__part_of_a_file__is_that_slice(
    store: PinningStore, offset: int, length: int
) -> None:
    data = sample_bytes(600_000)
    cid = await store.add_bytes(data, profile=V0)
    part = b"".join([piece async for piece in store.stream(cid, offset=offset, length=length)])
    assert part == data[offset : offset + length]


async def test_get_block__absent__is_unavailable(store: PinningStore) -> None:
    assert not await store.has_block(ABSENT)
    with pytest.raises(ContentUnavailable):
        await store.get_block(ABSENT)


async def test_get_block__not_a_cid__is_refused(store: PinningStore) -> None:
    with pytest.raises(InvalidCid):
        await store.get_block(Cid("QmPromptHash123"))


async def test_put_block__other_bytes__are_refused(store: PinningStore) -> None:
    with pytest.raises(ContentMismatch):
        await store.put_block(ABSENT, b"something else")
    assert not await store.has_block(ABSENT)


async def test_put_block__over_the_block_limit__is_refused(store: PinningStore) -> None:
    block = bytes(2 * 1024 * 1024 + 1)
    with pytest.raises(ContentTooLarge):
        await store.put_block(hash_block(block, version=1, codec=RAW).text(), block)


async def test_importing__block_over_the_limit__is_refused(store: PinningStore) -> None:
    block = bytes(3 * 1024 * 1024)  # nobody would give it out again
    async with store.importing() as run:
        with pytest.raises(ContentTooLarge):
            run.sink(hash_block(block, version=1, codec=RAW), block)
    assert (await store.usage()).n_blocks == 0


async def test_get_block__other_spelling_of_the_cid__is_the_same_block(store: PinningStore) -> None:
    cid = await store.add_bytes(b"x", profile=V0)
    assert await store.get_block(parse_cid(cid).as_v1().text()) == await store.get_block(cid)


async def test_collect_garbage__pinned_and_loose_blocks__keeps_the_pinned(
    store: PinningStore, tmp_path: Path
) -> None:
    tree = await store.add_path(write_sample("tree", tmp_path))
    shared = await store.add_bytes(sample_bytes(1_000_000))  # also a file of the tree
    loose = await store.add_bytes(b"loose")
    await store.unpin(shared)
    await store.unpin(loose)
    assert await store.collect_garbage() == [loose]
    assert not await store.has_block(loose)
    await store.fetch_tree(tree, tmp_path / "copy", limits=LIMITS)


async def test_collect_garbage__bytes_of_a_node_pinned_as_a_file_too__keeps_what_is_below_the_node(
    store: PinningStore, tmp_path: Path
) -> None:
    tree = await store.add_path(write_sample("tree", tmp_path))
    for _ in range(2):  # whichever of the two comes first
        as_file = await store.add_bytes(await store.get_block(tree))
        assert await store.collect_garbage() == []
        await store.unpin(tree)
        await store.pin(tree)
        await store.pin(as_file)
    await store.fetch_tree(tree, tmp_path / "copy", limits=LIMITS)


async def test_collect_garbage__damaged_pinned_tree__deletes_nothing(
    store: PinningStore, tmp_path: Path
) -> None:
    tree = await store.add_path(write_sample("tree2", tmp_path))
    await store.unpin(await store.add_bytes(b"loose"))
    store._delete_all_but({parse_cid(cid_of_bytes(b"loose")).multihash})
    with pytest.raises(ContentUnavailable, match=f"pinned tree {tree} is damaged"):
        await store.collect_garbage()
    assert await store.has_block(cid_of_bytes(b"loose"))
    assert await store.pins() == [tree]


async def test_pin__part_of_the_tree_missing__is_unavailable(store: PinningStore) -> None:
    cid = await store.add_bytes(sample_bytes(600_000))
    await store.unpin(cid)
    store._delete_all_but({parse_cid(cid).multihash})
    with pytest.raises(ContentUnavailable):
        await store.pin(cid)
    assert await store.pins() == []


async def test_pin__again_after_an_unpin__is_pinned(store: PinningStore) -> None:
    cid = await store.add_bytes(b"a prompt")
    await asyncio.gather(store.pin(cid), store.unpin(cid))
    await store.unpin(cid)
    assert await store.pins() == []
    await store.pin(cid)
    assert await store.pins() == [cid]


async def test_pin__again_after_an_unpin_that_a_pin_came_before__is_pinned(
    store: PinningStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on, unpin = threading.Event(), store._unpin

    def unpin_later(cid: Cid) -> None:
        going_on.wait(10)
        unpin(cid)

    monkeypatch.setattr(store, "_unpin", unpin_later)
    cid = await store.add_bytes(b"a prompt")
    unpinning = asyncio.create_task(store.unpin(cid))
    await asyncio.sleep(0)
    await store.pin(cid)
    going_on.set()
    await unpinning
    await store.pin(cid)
    assert await store.pins() == [cid]


async def test_collect_garbage__given_up_by_its_caller__keeps_imports_out_until_it_ends(
    store: PinningStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_deleting, going_on, has_ended = threading.Event(), threading.Event(), threading.Event()
    delete = store._delete_all_but

    def delete_later(keep: set[bytes]) -> list[bytes]:
        is_deleting.set()
        going_on.wait(10)
        deleted = delete(keep)
        has_ended.set()
        return deleted

    monkeypatch.setattr(store, "_delete_all_but", delete_later)
    collecting = asyncio.create_task(store.collect_garbage())
    await asyncio.to_thread(is_deleting.wait, 10)
    collecting.cancel()
    adding = asyncio.create_task(store.add_bytes(b"a prompt"))
    await asyncio.wait([adding], timeout=0.5)  # long enough for one that does not wait
    going_on.set()
    cid = await adding
    await asyncio.to_thread(has_ended.wait, 10)
    with pytest.raises(asyncio.CancelledError):
        await collecting
    assert await store.read_bytes(cid, max_bytes=8) == b"a prompt"


async def test_pin__again_after_damage_was_seen__is_unavailable(
    store: PinningStore, tmp_path: Path
) -> None:
    cid = await store.add_bytes(b"a prompt")
    multihash = parse_cid(cid).multihash
    if isinstance(store, MemoryStore):
        store.blocks[multihash] = b"damaged"
    else:
        assert isinstance(store, LocalStore)
        store._files.path(multihash).write_bytes(b"damaged")
        store._recent.forget(multihash)
    with pytest.raises(ContentMismatch):
        await store.get_block(cid)
    with pytest.raises(ContentUnavailable):
        await store.pin(cid)


async def test_collect_garbage__during_an_import__waits_for_its_pin(store: PinningStore) -> None:
    async with store.importing() as run:
        block = b"not pinned yet"
        cid = hash_block(block, version=1, codec=RAW)
        run.sink(cid, block)
        collecting = asyncio.create_task(store.collect_garbage())
        await asyncio.sleep(0)
        await run.pin(cid.text())
    assert await collecting == []
    assert await store.has_block(cid.text())


async def test_blocks_below__another_store_fed_with_them__can_read_the_tree(
    store: PinningStore, tmp_path: Path
) -> None:
    tree = write_sample("tree", tmp_path)
    cid = await store.add_path(tree)
    other = MemoryStore()
    async for block_cid, block in store.blocks_below(cid):
        await other.put_block(block_cid.text(), block)
    await other.pin(cid)
    await other.fetch_tree(cid, tmp_path / "copy", limits=LIMITS)
    assert contents(tmp_path / "copy") == contents(tree)


@pytest.mark.parametrize("kind", ["memory", "local"])
async def test_add_bytes__over_the_store_limit__is_storage_full(kind: str, tmp_path: Path) -> None:
    small: PinningStore = MemoryStore(max_bytes=1000)
    if kind == "local":
        small = LocalStore(tmp_path / "store", max_bytes=1000)
        small.open()
    with pytest.raises(StorageFull):
        await small.add_bytes(bytes(1001))
    assert await small.pins() == []
    assert (await small.usage()).n_bytes == 0
    await small.add_bytes(bytes(1000))
    if isinstance(small, LocalStore):
        small.close()
