"""The gateway's database for the library: the library's errors, and the caller's own untouched."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull
from dvllm_gateway.errors import InternalError, NetworkUnavailable, NoCapacity
from dvllm_gateway.state import Database, LibraryTransactions, open_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "gateway.sqlite") as database:
        yield database


async def test_transaction__its_result_and_its_own_error__as_they_are(database: Database) -> None:
    transactions = LibraryTransactions(database)

    def refuse(tx: Connection) -> None:
        tx.exec_driver_sql("CREATE TABLE undone (id INTEGER)")
        raise NoCapacity("mine")

    with pytest.raises(NoCapacity, match="mine"):
        await transactions.transaction(refuse)
    created = await transactions.transaction(
        lambda tx: tx.exec_driver_sql("CREATE TABLE undone (id INTEGER)") and "made"
    )
    assert created == "made"


async def test_transaction__no_room_on_the_disk__storage_full(database: Database) -> None:
    def fill(tx: Connection) -> None:
        tx.exec_driver_sql("CREATE TABLE big (data BLOB)")
        for _ in range(100):
            tx.exec_driver_sql("INSERT INTO big VALUES (zeroblob(100000))")

    await database.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count=1").close())
    with pytest.raises(StorageFull):
        await LibraryTransactions(database).transaction(fill)


async def test_transaction__refused_by_the_database__names_the_setting(database: Database) -> None:
    with pytest.raises(SettingError, match=r"^database: "):
        await LibraryTransactions(database).transaction(
            lambda tx: tx.exec_driver_sql("SELECT * FROM nothing")
        )


async def test_transaction__database_away__storage_busy(database: Database) -> None:
    def lose(_: Connection) -> None:
        raise NetworkUnavailable("the gateway's database does not answer")

    def fail(_: Connection) -> None:
        raise InternalError("a defect of whoever asked")

    with pytest.raises(StorageBusy, match="does not answer"):
        await LibraryTransactions(database).transaction(lose)
    with pytest.raises(InternalError, match="a defect"):
        await LibraryTransactions(database).transaction(fail)
