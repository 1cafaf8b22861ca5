"""Inserts that let what is there stand, in the words of either database."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_absent(tx: Connection, table: Table, **values: Any) -> bool:
    """Whether the row is new. Waits for a transaction that is just inserting the same."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    result = tx.execute(
        insert(table).values(**values).on_conflict_do_nothing(),
        execution_options={"preserve_rowcount": True},
    )
    return result.rowcount == 1
