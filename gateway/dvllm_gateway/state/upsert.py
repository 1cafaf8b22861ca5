"""Inserts that let what is there stand, in the words of either database."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_absent(tx: Connection, table: Table, **values: Any) -> bool:
    """Whether the row is new. Waits for a transaction that is just inserting the same."""
    return tx.execute(_statement(table, tx.dialect.name), values).rowcount == 1


@cache
def _statement(table: Table, dialect: str) -> Executable:
    """Built once: to build a statement costs more than to run it."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    counting = {"preserve_rowcount": True}
    return insert(table).on_conflict_do_nothing().execution_options(**counting)
