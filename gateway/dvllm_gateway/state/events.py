"""The events of the last while, for subscribers that come back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.events import Event, EventName
from dvllm_gateway.services.stores import NewEvent
from dvllm_gateway.services.tasks import TaskRecord
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.event_payloads import payload_values, read_payload
from dvllm_gateway.state.tables import event as events
from dvllm_gateway.state.tables import task
from dvllm_gateway.state.tasks import whole_tasks

DEFAULT_KEPT = 100_000
PRUNED_EVERY = 256

_LOCK = 0x6576656E74  # any number of our own: it names the lock on PostgreSQL

_ADD = insert(events)
_ADD_IN_ORDER = _ADD.returning(events.c.cursor, sort_by_parameter_order=True)
_LAST = select(func.max(events.c.cursor))


class SqlEventStore:
    """The EventStore; keeps the newest `n_kept`, give or take a few hundred."""

    def __init__(self, database: Database, *, n_kept: int = DEFAULT_KEPT) -> None:
        self._database = database
        self._n_kept = n_kept

    async def append(self, new: Sequence[NewEvent]) -> tuple[Event, ...]:
        return await self._database.write(
            lambda tx: _append(tx, new, self._n_kept), is_hurried=False
        )

    async def read(self, *, after: int, limit: int) -> tuple[Event, ...]:
        return await self._database.read(lambda tx: tuple(_read(tx, after, limit)))

    async def last_cursor(self) -> int:
        return await self._database.read(lambda tx: tx.execute(_LAST).scalar_one() or 0)


def _append(tx: Connection, new: Sequence[NewEvent], n_kept: int) -> tuple[Event, ...]:
    if not new:
        return ()
    cursors = _added(tx, [_values_of(event) for event in new])
    if _is_time_to_prune(cursors):
        tx.execute(delete(events).where(events.c.cursor <= cursors[-1] - n_kept))
    return tuple(
        Event(cursor, event.name, event.at_ms, event.payload, event.account)
        for cursor, event in zip(cursors, new, strict=True)
    )


def _added(tx: Connection, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
    if tx.dialect.name == "postgresql":
        # Numbers are drawn before the commit: without a turn, readers could pass one by.
        tx.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        return tx.execute(_ADD_IN_ORDER, rows).scalars().all()
    tx.execute(_ADD, rows)  # row by row, if SQLite had to tell their numbers
    last = tx.execute(_LAST).scalar_one()  # nobody else writes while this transaction does
    return range(last - len(rows) + 1, last + 1)


def _is_time_to_prune(cursors: Sequence[int]) -> bool:
    return cursors[-1] // PRUNED_EVERY > (cursors[0] - 1) // PRUNED_EVERY


def _values_of(new: NewEvent) -> dict[str, Any]:
    facts = {"name": new.name, "at_ms": new.at_ms, "account": new.account}
    return {**facts, **payload_values(new.name, new.payload)}


def _read(tx: Connection, after: int, limit: int) -> Iterator[Event]:
    query = select(events).where(events.c.cursor > after).order_by(events.c.cursor).limit(limit)
    rows = tx.execute(query).all()
    records = _tasks_of(tx, rows)
    for row in rows:
        name = EventName(row.name)
        payload = records[row.task_id] if row.task_id else read_payload(name, row.payload)
        account = None if row.account is None else AccountId(row.account)
        yield Event(row.cursor, name, row.at_ms, payload, account)


def _tasks_of(tx: Connection, rows: Sequence[Row[Any]]) -> Mapping[TaskId, TaskRecord]:
    ids = {row.task_id for row in rows if row.task_id}
    if not ids:
        return {}
    return {record.id: record for record in whole_tasks(tx, task.c.id.in_(ids))}
