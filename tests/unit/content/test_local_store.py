"""What only the store on disk can meet: other processes, damage, full and forbidden disks."""

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.flatfs import FlatFs
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentUnavailable,
    SettingError,
    StorageBusy,
    StorageFull,
)
from decentralized_vllm.protocol.ids import Cid
from tests.support.cid_vectors import sample_bytes


def block_file(root: Path, cid: Cid) -> Path:
    (found,) = (root / "blocks").glob("*/*.data")
    assert parse_cid(cid).codec == 0x55
    return found


async def test_open__after_closing__has_blocks_and_pins(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"kept")
    store.close()
    async with LocalStore(tmp_path, max_bytes=4) as store:
        assert await store.pins() == [cid]
        assert await store.read_bytes(cid, max_bytes=4) == b"kept"
        with pytest.raises(StorageFull):
            await store.add_bytes(b"x")


async def test_layout__block__is_where_kubo_looks_for_it(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        await store.add_bytes(b"")
    name = "CIQOHMGEIKMPYHAUTL57JSEZN64SIJ5OIHSGJG4TJSSJLGI3PBJLQVI.data"
    assert (tmp_path / "blocks" / "QV" / name).read_bytes() == b""
    sharding = (tmp_path / "blocks" / "SHARDING").read_text()
    assert sharding == "/repo/flatfs/shard/v1/next-to-last/2\n"


async def test_get_block__damaged_on_disk__is_refused_and_can_be_replaced(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"honest")
    block_file(tmp_path, cid).write_bytes(b"rotten")
    async with LocalStore(tmp_path) as store:
        with pytest.raises(ContentMismatch):
            await store.get_block(cid)
        with pytest.raises(ContentUnavailable):
            await store.get_block(cid)
        await store.put_block(cid, b"honest")
        assert await store.get_block(cid) == b"honest"


@pytest.mark.parametrize("damage", [b"", b"rotten", b"much longer than before"])
async def test_add_bytes__damaged_on_disk__is_mended(tmp_path: Path, damage: bytes) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"honest")
    block_file(tmp_path, cid).write_bytes(damage)
    async with LocalStore(tmp_path, max_bytes=40) as store:
        assert await store.add_bytes(b"honest") == cid
        await store.add_bytes(b"x" * (40 - len(b"honest")))  # the damage is counted no more
        with pytest.raises(StorageFull):
            await store.add_bytes(b"y")
    async with LocalStore(tmp_path) as store:
        assert await store.read_bytes(cid, max_bytes=6) == b"honest"


async def test_open__a_mark_that_a_full_disk_cut__is_written_again(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "SHARDING").touch()
    async with LocalStore(tmp_path):
        assert (tmp_path / "blocks" / "SHARDING").read_text().startswith("/repo/flatfs/")


async def test_get_block__just_written__asks_no_disk(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"asked for soon")
        block_file(tmp_path, cid).unlink()
        assert await store.get_block(cid) == b"asked for soon"


async def test_get_block__just_collected__is_gone(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"not needed")
        await store.unpin(cid)
        await store.collect_garbage()
        with pytest.raises(ContentUnavailable):
            await store.get_block(cid)


async def test_open__half_written_block_of_a_killed_process__is_dropped(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "0").write_bytes(b"half")
    async with LocalStore(tmp_path) as store:
        assert list((tmp_path / "tmp").iterdir()) == []
        assert (await store.usage()).n_blocks == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_add__disk_full__is_storage_full_and_leaves_nothing(tmp_path: Path) -> None:
    async with LocalStore(tmp_path, max_bytes=1_000_000) as store:
        await store.add_bytes(b"before")  # took the temporary name 0
        (tmp_path / "tmp" / "1").symlink_to("/dev/full")
        with pytest.raises(StorageFull, match="no space left"):
            await store.add_bytes(sample_bytes(100_000))
        assert not await store.has_block(cid_of_bytes(sample_bytes(100_000)))
        assert list((tmp_path / "tmp").iterdir()) == []
        assert (await store.usage()).n_bytes == len(b"before")
        await store.add_bytes(sample_bytes(900_000))  # the failed one is not counted


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_open__folder_not_writable__names_the_setting(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SettingError, match="store"):
        LocalStore(tmp_path / "below").open()
    tmp_path.chmod(0o700)


def test_open__a_file_in_the_way__names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="not a folder"):
        LocalStore(tmp_path / "file").open()


def test_open__pins_are_no_database__says_so_and_frees_the_lock(tmp_path: Path) -> None:
    (tmp_path / "pins.sqlite").write_bytes(b"this is no database" * 100)
    for _ in range(2):
        with pytest.raises(SettingError, match=r"pins\.sqlite cannot be used"):
            LocalStore(tmp_path).open()


async def test_pin__database_locked_for_long__is_retryable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decentralized_vllm.content.sqlite_file._BUSY_TIMEOUT_S", 0.0)
    async with LocalStore(tmp_path) as store:
        holder = sqlite3.connect(tmp_path / "pins.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy):
            await store.add_bytes(b"x")
        holder.execute("ROLLBACK")
        holder.close()
        await store.add_bytes(b"x")


async def test_add_bytes__many_blocks__is_durable_by_one_flush(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(sample_bytes(262_144 * 17))  # above the limit of single syncs
        assert len(await store.read_bytes(cid, max_bytes=2**24)) == 262_144 * 17


async def test_local_store__every_common_thread_waits_for_the_disk__reads_go_on(
    tmp_path: Path,
) -> None:
    disk = threading.Event()
    async with LocalStore(tmp_path / "store") as store:
        cid = await store.add_bytes(b"prompt")
        busy = [asyncio.create_task(asyncio.to_thread(disk.wait)) for _ in range(64)]
        try:
            async with asyncio.timeout(10):
                assert await store.get_block(cid) == b"prompt"
                assert await store.has_block(cid)
        finally:
            disk.set()
            await asyncio.gather(*busy)


async def test_add_bytes__same_block_by_two_at_once__counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_look, holds = threading.Barrier(2), FlatFs.holds

    def holds_for_both(files: FlatFs, multihash: bytes, block: bytes | memoryview) -> bool:
        found = holds(files, multihash, block)
        if not found:
            both_look.wait(10)
        return found

    async with LocalStore(tmp_path, max_bytes=8) as store:
        monkeypatch.setattr(FlatFs, "holds", holds_for_both)
        await asyncio.gather(store.add_bytes(b"four"), store.add_bytes(b"four"))
        monkeypatch.undo()
        await store.add_bytes(b"more")


async def test_get_block__replaced_while_it_was_found_bad__is_kept(tmp_path: Path) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"good")
        await store._block_is_bad(parse_cid(cid))  # by a reader who saw what was there before
        assert await store.read_bytes(cid, max_bytes=4) == b"good"


async def test_importing__block_was_bad_and_a_reader_drops_it__is_there_all_the_same(
    tmp_path: Path,
) -> None:
    async with LocalStore(tmp_path) as store:
        cid = await store.add_bytes(b"good")
    block_file(tmp_path, cid).write_bytes(b"evil")
    async with LocalStore(tmp_path) as store, store.importing() as run:
        run.sink(parse_cid(cid), b"good")
        await store._block_is_bad(parse_cid(cid))
        await run.pin(cid)
        assert await store.read_bytes(cid, max_bytes=4) == b"good"
