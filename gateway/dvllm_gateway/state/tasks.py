"""Tasks, and the money that each of them holds until it is over."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from decentralized_vllm.protocol.ids import Address, JobId, Wei
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.stores import Assignment, Movement
from dvllm_gateway.services.tasks import TaskFilter, TaskPage, TaskRecord, TaskState
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.money import Change, move
from dvllm_gateway.state.tables import task, task_text
from dvllm_gateway.state.task_rows import (
    assignment_of,
    changing_values,
    fixed_values,
    task_record,
)

_IS_OPEN = or_(*(task.c.state == state for state in TaskState if not state.is_over))

# Built once: to build a statement costs more than to run it.
_ADD = insert(task)
_ADD_TEXTS = insert(task_text)
_CHANGE = update(task).where(task.c.id == bindparam("its_id"), _IS_OPEN)
_CHANGE_TEXTS = update(task_text).where(task_text.c.task_id == bindparam("its_id"))
_HELD = (
    select(task.c.id, task.c.account, task.c.reserved_wei)
    .where(task.c.id.in_(bindparam("ids", expanding=True)), _IS_OPEN)
    .order_by(task.c.id)  # who locks several locks them in this order: nobody waits in a circle
    .with_for_update()
)


class SqlTaskStore:
    """The TaskStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, record: TaskRecord, assignment: Assignment) -> None:
        await self._database.write(self.creating(record, assignment))

    async def create_all(self, tasks: Sequence[tuple[TaskRecord, Assignment]]) -> None:
        await self._database.write(lambda tx: _create(tx, tasks))

    def creating(self, record: TaskRecord, assignment: Assignment) -> Callable[[Connection], None]:
        return lambda tx: _create(tx, [(record, assignment)])

    async def update(self, records: Sequence[TaskRecord]) -> None:
        """Raises ValueError for a record that is over: that is `finish`."""
        for record in records:
            if record.state.is_over:
                raise ValueError(f"task {record.id} is over")
        changes = [_changes(record) for record in sorted(records, key=lambda record: record.id)]
        await self._database.write(lambda tx: tx.execute(_CHANGE, changes), is_hurried=False)

    async def finish(self, record: TaskRecord) -> bool:
        """Raises ValueError for a record that is not over or costs more than was reserved."""
        if not record.state.is_over or not 0 <= record.cost_wei <= record.reserved_wei:
            raise ValueError(f"task {record.id} can not end like this")
        return await self._database.write_shared(_finish, record)

    async def note_unwanted(self, task_id: TaskId) -> None:
        statement = update(task).where(task.c.id == task_id).values(is_unwanted=True)
        await self._database.write(lambda tx: tx.execute(statement).rowcount)

    async def get(self, task_id: TaskId) -> TaskRecord | None:
        row = await self._database.read(lambda tx: tx.execute(_ONE, {"its_id": task_id}).first())
        return None if row is None else _whole(row)

    async def of_job(self, sender: Address, job_id: JobId) -> TaskRecord | None:
        """The newest, should a re-organisation have given a job's number to another task."""
        is_it = (task.c.sender == sender) & (task.c.job_id == job_id)
        found = await self._database.read(lambda tx: whole_tasks(tx, is_it))
        return found[-1] if found else None

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        return await self._database.read(lambda tx: _page(tx, account, chosen))

    async def unfinished(self, sender: Address) -> tuple[tuple[TaskRecord, Assignment], ...]:
        return await self._database.read(lambda tx: tuple(_unfinished(tx, sender)))


def whole_tasks(tx: Connection, condition: ColumnElement[bool]) -> Sequence[TaskRecord]:
    """With their texts, oldest first."""
    return [_whole(row) for row in tx.execute(_with_texts(condition)).all()]


def _whole(row: Row[Any]) -> TaskRecord:
    return task_record(row, prompt=row.prompt or "", response=row.response)


def _with_texts(condition: ColumnElement[bool]) -> Select[Any]:
    texts = (task_text.c.prompt, task_text.c.response, task_text.c.document)
    joined = select(task, *texts).join(task_text, isouter=True)  # of old tasks they are deleted
    return joined.where(condition).order_by(task.c.id)


_ONE = _with_texts(task.c.id == bindparam("its_id"))


def _create(tx: Connection, tasks: Sequence[tuple[TaskRecord, Assignment]]) -> None:
    """All of one account. One statement for all of them costs little more than for one."""
    move(tx, tasks[0][0].account, [_reservation(record) for record, _ in tasks])
    tx.execute(
        _ADD, [{**fixed_values(record, its), **changing_values(record)} for record, its in tasks]
    )
    tx.execute(_ADD_TEXTS, [_first_texts(record, its) for record, its in tasks])


def _reservation(record: TaskRecord) -> Change:
    reserved_wei = record.reserved_wei
    return Change(Movement.RESERVE, -reserved_wei, reserved_wei, record.created_at_ms, record.id)


def _first_texts(record: TaskRecord, assignment: Assignment) -> dict[str, Any]:
    texts = {"prompt": record.prompt, "response": record.response}
    return {"task_id": record.id, **texts, "document": assignment.document}


def _changes(record: TaskRecord) -> dict[str, Any]:
    return {"its_id": record.id, **changing_values(record)}


def _finish(tx: Connection, records: Sequence[TaskRecord]) -> list[bool]:
    """A block ends many tasks at once: a statement for all of them costs little more than for one.

    Whether each was not over before.
    """
    ids = [record.id for record in records]
    held = {TaskId(row.id): row for row in tx.execute(_HELD, {"ids": ids}).all()}
    places = {task_id: place for place, task_id in reversed([*enumerate(ids)]) if task_id in held}
    ended = [records[place] for place in sorted(places.values())]  # the first, if told twice
    if ended:
        tx.execute(_CHANGE, [_changes(record) for record in ended])
        tx.execute(_CHANGE_TEXTS, [_last_texts(record) for record in ended])
    for account, changes in _settlements(held, ended).items():
        move(tx, account, changes)
    return [places.get(task_id) == place for place, task_id in enumerate(ids)]


def _last_texts(record: TaskRecord) -> dict[str, Any]:
    return {"its_id": record.id, "response": record.response, "document": None}


def _settlements(
    held: Mapping[TaskId, Any], ended: Sequence[TaskRecord]
) -> Mapping[AccountId, list[Change]]:
    found: dict[AccountId, list[Change]] = defaultdict(list)
    for record in ended:
        row = held[record.id]
        found[row.account] += _settlement(record, Wei(row.reserved_wei))
    return {account: changes for account, changes in sorted(found.items()) if changes}


def _settlement(record: TaskRecord, reserved_wei: Wei) -> list[Change]:
    cost_wei, rest_wei = record.cost_wei, reserved_wei - record.cost_wei
    at_ms = record.completed_at_ms or record.created_at_ms
    changes = (
        Change(Movement.CHARGE, 0, -cost_wei, at_ms, record.id),
        Change(Movement.RELEASE, rest_wei, -rest_wei, at_ms, record.id),
    )
    return [change for change in changes if change.reserved_wei]


def _page(tx: Connection, account: AccountId, chosen: TaskFilter) -> TaskPage:
    conditions = [task.c.account == account]
    if chosen.states:
        conditions.append(task.c.state.in_(sorted(chosen.states)))
    if chosen.since_ms is not None:
        conditions.append(task.c.created_at_ms >= chosen.since_ms)
    total = tx.execute(select(func.count()).select_from(task).where(*conditions)).scalar_one()
    newest = select(task).where(*conditions).order_by(task.c.id.desc()).limit(chosen.limit)
    rows: Sequence[Row[Any]] = tx.execute(newest).all()
    return TaskPage(tuple(task_record(row, prompt="", response=None) for row in rows), total)


def _unfinished(tx: Connection, sender: Address) -> Iterator[tuple[TaskRecord, Assignment]]:
    for row in tx.execute(_with_texts(_IS_OPEN & (task.c.sender == sender))).all():
        yield _whole(row), assignment_of(row, row.document)
