"""Files of an earlier release end up like files of this one."""

from pathlib import Path

from sqlalchemy import Connection

from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.database import Database


def layout(tx: Connection) -> list[tuple[str, str]]:
    columns = tx.exec_driver_sql("SELECT name, type FROM pragma_table_info('outbox_transaction')")
    indices = tx.exec_driver_sql("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'")
    return sorted((str(name), str(kind)) for name, kind in (*columns, *indices))


def back_to_version_1(tx: Connection) -> None:
    for statement in (
        "DROP INDEX ix_outbox_transaction_settled_s",
        "ALTER TABLE outbox_transaction DROP COLUMN settled_s",
        "UPDATE schema_version SET version = 1",
    ):
        tx.exec_driver_sql(statement)


async def test_upgrade__file_of_version_1__the_layout_of_a_new_file(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        new = await database.transaction(layout)
        await database.transaction(back_to_version_1)
        assert await database.transaction(layout) != new
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        assert await database.transaction(layout) == new
