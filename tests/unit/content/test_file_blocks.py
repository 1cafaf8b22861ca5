"""Fetched trees offered again: the same blocks as the original's, or none."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decentralized_vllm.content.cid import DAG_PB, RAW, hash_block
from decentralized_vllm.content.dag_pb import PbLink, PbNode, encode_node
from decentralized_vllm.content.file_blocks import FileBlocks
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.profiles import V0, V1, ImportProfile
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.unixfs import DIRECTORY_DATA, EntryType
from decentralized_vllm.content.wire import bytes_field, varint_field
from decentralized_vllm.protocol.errors import ContentUnavailable, SettingError
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits
from tests.support.cid_vectors import write_sample
from tests.support.trees import contents

LIMITS = ContentLimits(max_bytes=10_000_000)
SMALL_PARTS = [
    ImportProfile("small v0", 0, False, 64, 3),
    ImportProfile("small v1", 1, True, 64, 3),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
async def blocks(root: Path) -> AsyncIterator[FileBlocks]:
    async with FileBlocks(root) as blocks:
        yield blocks


async def fetch(blocks: FileBlocks, store: ContentReads, cid: Cid, root: Path) -> Path:
    await store.fetch_tree(cid, root / cid, limits=LIMITS, record=blocks.recording(cid))
    return root / cid


async def all_blocks(reads: ContentReads, cid: Cid) -> dict[Cid, bytes]:
    return {each.text(): block async for each, block in reads.blocks_below(cid)}


@pytest.mark.parametrize("profile", [V0, V1])
async def test_fetched_tree__every_block__is_the_original(
    blocks: FileBlocks, root: Path, tmp_path: Path, profile: ImportProfile
) -> None:
    store = MemoryStore(profile)
    cid = await store.add_path(write_sample("tree", tmp_path))
    await fetch(blocks, store, cid, root)
    assert await all_blocks(blocks, cid) == await all_blocks(store, cid)
    assert await blocks.has_block(cid)


FILES = st.dictionaries(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.binary(max_size=1000), min_size=1, max_size=5
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, profile=st.sampled_from(SMALL_PARTS))
async def test_fetched_tree__any_files__has_the_blocks_of_the_original(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], profile: ImportProfile
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "tree").mkdir()
    for name, data in files.items():
        (folder / "tree" / name).write_bytes(data)
    store = MemoryStore(profile)
    cid = await store.add_path(folder / "tree")
    async with FileBlocks(folder / "models") as blocks:
        await fetch(blocks, store, cid, folder / "models")
        assert await all_blocks(blocks, cid) == await all_blocks(store, cid)


async def test_fetched_tree__its_leaves__are_kept_once(
    blocks: FileBlocks, root: Path, tmp_path: Path
) -> None:
    store = MemoryStore(V0)
    cid = await store.add_path(write_sample("tree", tmp_path))
    await fetch(blocks, store, cid, root)
    with sqlite3.connect(root / "blocks.sqlite") as index:
        kept, n_leaves = index.execute(
            "SELECT sum(length(node)), count(start) FROM blocks"
        ).fetchone()
    index.close()
    assert n_leaves > 4
    assert kept < 2_000  # of 1.3 MB


async def test_fetched_tree__another_process_later__still_offered(
    root: Path, tmp_path: Path
) -> None:
    store = MemoryStore()
    cid = await store.add_path(write_sample("tree", tmp_path))
    async with FileBlocks(root) as before:
        await fetch(before, store, cid, root)
    async with FileBlocks(root) as after:
        assert await all_blocks(after, cid) == await all_blocks(store, cid)


async def test_fetch__broken_off_and_resumed__all_blocks_are_known(
    root: Path, tmp_path: Path
) -> None:
    """The second fetch finds most leaves on disk and asks for them no more."""
    store = MemoryStore(V0)
    cid = await store.add_path(write_sample("tree", tmp_path))
    original = await all_blocks(store, cid)
    lost = list(original)[-1]
    store.blocks.pop(hash_block(original[lost], version=0, codec=DAG_PB).multihash)
    async with FileBlocks(root) as blocks:
        with pytest.raises(ContentUnavailable):
            await fetch(blocks, store, cid, root)
        assert not await blocks.has_block(list(original)[1])
    await store.put_block(lost, original[lost])
    async with FileBlocks(root) as blocks:
        await fetch(blocks, store, cid, root)
        assert await all_blocks(blocks, cid) == original


@pytest.mark.parametrize("change", ["one byte", "shorter", "gone", "a link", "a folder"])
async def test_changed_file__its_blocks__are_absent(
    blocks: FileBlocks, root: Path, tmp_path: Path, change: str
) -> None:
    store = MemoryStore()
    file, other = await _two_files(blocks, store, root, tmp_path)
    leaf = hash_block(file.read_bytes(), version=1, codec=RAW).text()
    assert await blocks.get_block(leaf) == file.read_bytes()
    _change(file, change)
    assert not await blocks.has_block(leaf)
    with pytest.raises(ContentUnavailable):
        await blocks.get_block(leaf)
    intact = hash_block(other.read_bytes(), version=1, codec=RAW).text()
    assert await blocks.get_block(intact) == other.read_bytes()


async def _two_files(
    blocks: FileBlocks, store: MemoryStore, root: Path, folder: Path
) -> tuple[Path, Path]:
    (folder / "two").mkdir()
    (folder / "two" / "a").write_bytes(b"first file")
    (folder / "two" / "b").write_bytes(b"second file")
    model = await fetch(blocks, store, await store.add_path(folder / "two"), root)
    return model / "a", model / "b"


def _change(file: Path, change: str) -> None:
    data = file.read_bytes()
    file.unlink()
    if change == "one byte":
        file.write_bytes(b"F" + data[1:])
    elif change == "shorter":
        file.write_bytes(data[:-1])
    elif change == "a link":
        (file.parent / "elsewhere").write_bytes(data)
        file.symlink_to("elsewhere")
    elif change == "a folder":
        file.mkdir()


@pytest.mark.parametrize(
    ("column", "value"), [("file", "../outside"), ("file", "/etc/hostname"), ("tree", "..")]
)
async def test_damaged_index__leads_outside__is_not_followed(
    blocks: FileBlocks, root: Path, tmp_path: Path, column: str, value: str
) -> None:
    store = MemoryStore()
    file, _ = await _two_files(blocks, store, root, tmp_path)
    data = file.read_bytes()
    for outside in (root / "outside", tmp_path / "a"):
        outside.write_bytes(data)
    with sqlite3.connect(root / "blocks.sqlite") as index:
        index.execute(f"UPDATE blocks SET {column} = ? WHERE file = 'a'", (value,))
    index.close()
    assert not await blocks.has_block(hash_block(data, version=1, codec=RAW).text())


async def test_forget__one_of_two_trees_with_the_same_file__the_other_is_offered(
    blocks: FileBlocks, root: Path, tmp_path: Path
) -> None:
    store, cids = MemoryStore(), []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shared").write_bytes(b"in both")
        (tmp_path / name / name).write_bytes(name.encode())
        cids.append(await store.add_path(tmp_path / name))
        await fetch(blocks, store, cids[-1], root)
    await blocks.forget(cids[0])
    assert not await blocks.has_block(cids[0])
    assert await all_blocks(blocks, cids[1]) == await all_blocks(store, cids[1])


async def test_node_with_bytes_and_parts__is_not_kept_a_second_time(
    blocks: FileBlocks, root: Path
) -> None:
    store = MemoryStore()
    part = hash_block(b"part", version=1, codec=RAW)
    await store.put_block(part.text(), b"part")
    entry = varint_field(1, EntryType.FILE) + bytes_field(2, b"data") + varint_field(3, 8)
    file = encode_node(PbNode((PbLink(part, "", 4),), entry + varint_field(4, 4)))
    file_cid = hash_block(file, version=1, codec=DAG_PB)
    await store.put_block(file_cid.text(), file)
    folder = encode_node(PbNode((PbLink(file_cid, "odd", 8),), DIRECTORY_DATA))
    cid = hash_block(folder, version=1, codec=DAG_PB).text()
    await store.put_block(cid, folder)
    model = await fetch(blocks, store, cid, root)
    assert contents(model) == {"odd": b"datapart"}
    assert await blocks.has_block(cid)
    assert not await blocks.has_block(file_cid.text())


def _spoil(root: Path) -> None:
    root.mkdir()
    (root / "blocks.sqlite").write_bytes(b"something else" * 100)


async def test_index_is_no_database__named(root: Path) -> None:
    _spoil(root)
    with pytest.raises(SettingError, match="delete the file"):
        async with FileBlocks(root):
            pass
