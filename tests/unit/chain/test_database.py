"""The one database of a process: whole transactions, typed failures, one schema version."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, func, insert, select

from decentralized_vllm.chain.store import database as database_module
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.chain.store.schema import UPGRADES
from decentralized_vllm.protocol.errors import SettingError, StorageBusy

metadata = MetaData()
things = Table("things", metadata, Column("number", Integer, primary_key=True))


def add(number: int):
    return lambda tx: tx.execute(insert(things).values(number=number))


def count(tx: Connection) -> int:
    return tx.execute(select(func.count()).select_from(things)).scalar_one()


async def test_transaction__work_raises__nothing_is_kept(tmp_path: Path) -> None:
    async with Database(tmp_path / "db" / "x.sqlite") as database:
        await database.add_tables("test", 1, metadata)

        def work(tx: Connection) -> None:
            add(1)(tx)
            raise RuntimeError("changed my mind")

        with pytest.raises(RuntimeError, match="changed"):
            await database.transaction(work)
        assert await database.transaction(count) == 0


async def test_transaction__caller_cancelled__work_is_finished_first(tmp_path: Path) -> None:
    started, may_end = threading.Event(), threading.Event()

    def work(tx: Connection) -> None:
        started.set()
        may_end.wait(10)
        add(1)(tx)

    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables("test", 1, metadata)
        task = asyncio.create_task(database.transaction(work))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await database.transaction(count) == 1


async def test_transaction__many_at_once__one_after_the_other(tmp_path: Path) -> None:
    def read_then_write(tx: Connection) -> None:
        add(count(tx))(tx)

    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables("test", 1, metadata)
        await asyncio.gather(*(database.transaction(read_then_write) for _ in range(20)))
        assert await database.transaction(count) == 20


async def test_transaction__locked_by_another_process__storage_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 10)
    path = tmp_path / "x.sqlite"
    async with Database(path) as database:
        await database.add_tables("test", 1, metadata)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy):
            await database.transaction(add(1))
        other.close()
        await database.transaction(add(1))


async def test_add_tables__again__keeps_the_rows(tmp_path: Path) -> None:
    for _ in range(2):
        async with Database(tmp_path / "x.sqlite") as database:
            await database.add_tables("test", 1, metadata)
            if await database.transaction(count) == 0:
                await database.transaction(add(1))
            assert await database.transaction(count) == 1


@pytest.mark.parametrize(("written", "age"), [(2, "a newer"), (1, "an older")])
async def test_add_tables__written_by_another_release__refused(
    tmp_path: Path, written: int, age: str
) -> None:
    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables("test", written, metadata)
        with pytest.raises(SettingError, match=f"database: .*{age} release"):
            await database.add_tables("test", 3 - written, metadata)


async def test_add_tables__older_ones_with_a_known_way_up__led_up_once(tmp_path: Path) -> None:
    steps = {2: ["ALTER TABLE things ADD COLUMN note TEXT"], 3: ["UPDATE things SET note = 'old'"]}
    newer = MetaData(info={UPGRADES: steps})
    noted = Table("things", newer, Column("number", Integer), Column("note", Text))
    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables("test", 1, metadata)
        await database.transaction(add(1))
        for _ in range(2):
            await database.add_tables("test", 3, newer)
            rows = await database.transaction(lambda tx: tx.execute(select(noted)).all())
            assert [tuple(row) for row in rows] == [(1, "old")]


async def test_open__file_that_is_no_database__setting_error(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("this is a letter, not a database, and it is long enough to be read\n" * 20)
    with pytest.raises(SettingError, match="database"):
        async with Database(path):
            pass


async def test_open__no_url__setting_error() -> None:
    with pytest.raises(SettingError, match="database"):
        async with Database("nosuch://thing"):
            pass


async def test_open__sqlite__durable_and_one_writer(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.sqlite") as database:
        pragmas = await database.transaction(
            lambda tx: [
                tx.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        )
    assert pragmas == ["wal", 2, 1]
