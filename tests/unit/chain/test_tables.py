"""Files of an earlier release end up like files of this one."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.database import Database
from tests.support.earlier_tables import (
    ATTEMPT_HASH,
    TABLES,
    attempts_of,
    back_to_version_1,
    back_to_version_2,
    store_attempt,
)

BACK = {1: (back_to_version_2, back_to_version_1), 2: (back_to_version_2,)}


def layout(tx: Connection) -> list[tuple[str, ...]]:
    columns = [
        (table, *(str(part) for part in column))
        for table in TABLES
        for column in tx.exec_driver_sql(f"SELECT name, type, pk FROM pragma_table_info('{table}')")
    ]
    indices = tx.exec_driver_sql("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'")
    return sorted([*columns, *((str(name), str(table)) for name, table in indices)])


@pytest.mark.parametrize("version", BACK)
async def test_upgrade__file_of_an_earlier_version__the_layout_of_a_new_file(
    tmp_path: Path, version: int
) -> None:
    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        new = await database.transaction(layout)
        await database.transaction(lambda tx: store_attempt(tx, chain="one", row_id=1))
        for step in BACK[version]:
            await database.transaction(step)
        assert await database.transaction(layout) != new
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        assert await database.transaction(layout) == new
        assert await database.transaction(attempts_of) == [(1, ATTEMPT_HASH, b"raw")]


async def test_attempt__same_hash_on_a_local_chain_started_afresh__both_are_kept(
    tmp_path: Path,
) -> None:
    """Keys, nonces, chain id and addresses are the same there: so is the first transaction."""
    async with Database(tmp_path / "x.sqlite") as database:
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        for row_id, chain in enumerate(("31337:0xaa", "31337:0xbb"), start=1):
            await database.transaction(partial(store_attempt, chain=chain, row_id=row_id))
        kept = await database.transaction(attempts_of)
    assert kept == [(1, ATTEMPT_HASH, b"raw"), (2, ATTEMPT_HASH, b"raw")]
