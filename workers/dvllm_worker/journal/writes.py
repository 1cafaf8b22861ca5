"""What a group commit writes: each row and each answer in its last state."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, and_, delete, or_
from sqlalchemy.dialects.sqlite import Insert, insert

from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.journal.row_codec import columns_of, key_columns
from dvllm_worker.journal.tables import answer, job
from dvllm_worker.pipeline.rows import JobKey, JobRow

Key: TypeAlias = JobKey | Cid
Value: TypeAlias = JobRow | bytes | None
"""A row by its key, an answer by its CID; None for what is to go."""


def write_changes(connection: Connection, changes: Mapping[Key, Value]) -> None:
    """All of a kind in one statement, which is most of what a group saves."""
    rows = [columns_of(value) for value in changes.values() if isinstance(value, JobRow)]
    if rows:
        connection.execute(_UPSERT_JOBS, rows)
    answers = [
        {"cid": key, "document": value}
        for key, value in changes.items()
        if isinstance(value, bytes)
    ]
    if answers:
        connection.execute(_UPSERT_ANSWERS, answers)
    _delete(connection, [key for key, value in changes.items() if value is None])


def _delete(connection: Connection, keys: list[Key]) -> None:
    jobs = [_is(key) for key in keys if isinstance(key, JobKey)]
    if jobs:
        connection.execute(delete(job).where(or_(*jobs)))
    cids = [key for key in keys if isinstance(key, str)]
    if cids:
        connection.execute(delete(answer).where(answer.c.cid.in_(cids)))


def _is(key: JobKey) -> Any:
    return and_(*(job.c[name] == value for name, value in key_columns(key).items()))


def _upsert(table: Table) -> Insert:
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    changed = {
        column.name: statement.excluded[column.name]
        for column in table.c
        if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


# Built once: SQLAlchemy then finds them compiled, which is most of what a small write costs.
_UPSERT_JOBS = _upsert(job)
_UPSERT_ANSWERS = _upsert(answer)
