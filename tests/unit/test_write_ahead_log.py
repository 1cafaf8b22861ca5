"""SQLite refuses at once to turn its log on while others look at the file: here one waits."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.write_ahead_log import use_write_ahead_log


def connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)


@pytest.fixture
def reader(tmp_path):
    """Whoever has a transaction open in a file without the log."""
    reader = connected(tmp_path / "x.sqlite")
    reader.execute("CREATE TABLE things (number)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM things").fetchall()
    yield reader
    reader.close()


def mode(connection: sqlite3.Connection) -> str:
    (name,) = connection.execute("PRAGMA journal_mode").fetchone()
    return str(name)


def test_file_is_read_for_too_long__busy(tmp_path, reader):
    other = connected(tmp_path / "x.sqlite")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        use_write_ahead_log(other, patience_s=0.1)
    other.close()


def test_no_database__told_at_once(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"no database" * 100)
    other = connected(tmp_path / "x.sqlite")
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        use_write_ahead_log(other, patience_s=60)
    other.close()


async def test_file_is_read_for_a_moment__waits(tmp_path, reader):
    other = connected(tmp_path / "x.sqlite")
    waiting = asyncio.create_task(asyncio.to_thread(use_write_ahead_log, other, 60))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    reader.execute("COMMIT")
    await waiting
    assert mode(other) == "wal"
    other.close()


async def test_many_open_one_new_database__none_is_refused(tmp_path):
    async def opened(file: Path) -> None:
        async with Database(file) as database:
            await database.transaction(lambda tx: tx.exec_driver_sql("SELECT 1"))

    for number in range(20):
        file = tmp_path / f"{number}.sqlite"
        await asyncio.gather(*(opened(file) for _ in range(4)))
