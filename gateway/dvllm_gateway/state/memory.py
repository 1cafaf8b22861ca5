"""Stores in memory, for tests of what stands on them."""

from collections.abc import Sequence
from dataclasses import replace

from decentralized_vllm.protocol.ids import Address, JobId, Wei
from dvllm_gateway.errors import InsufficientBalance, InternalError
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.events import Event
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import Along, Assignment, NewEvent
from dvllm_gateway.services.tasks import TaskFilter, TaskPage, TaskRecord

NOTHING = Balance(Wei(0), Wei(0))


class MemoryTaskStore:
    """The port TaskStore, with the accounts' money; `grant` before a task is created."""

    def __init__(self) -> None:
        self.balances: dict[AccountId, Balance] = {}
        self._tasks: dict[TaskId, tuple[TaskRecord, Assignment]] = {}

    def grant(self, account: AccountId, amount_wei: Wei) -> None:
        self._move(account, available_wei=amount_wei, reserved_wei=0)

    async def create(self, record: TaskRecord, assignment: Assignment) -> None:
        await self.create_all([(record, assignment)])

    async def create_all(self, tasks: Sequence[tuple[TaskRecord, Assignment]]) -> None:
        self._create(tasks)

    def creating(self, record: TaskRecord, assignment: Assignment) -> Along:
        return lambda _: self._create([(record, assignment)])

    def _create(self, tasks: Sequence[tuple[TaskRecord, Assignment]]) -> None:
        if any(record.id in self._tasks for record, _ in tasks):
            raise InternalError("there is such a task")
        account = tasks[0][0].account
        required_wei = Wei(sum(record.reserved_wei for record, _ in tasks))
        balance = self.balances.get(account, NOTHING)
        if balance.available_wei < required_wei:
            raise InsufficientBalance(
                "the account's credit does not cover the tasks",
                required_wei=required_wei,
                available_wei=balance.available_wei,
                balance_wei=Wei(balance.available_wei + balance.reserved_wei),
            )
        self._move(account, available_wei=-required_wei, reserved_wei=required_wei)
        self._tasks.update({record.id: (record, its) for record, its in tasks})

    async def update(self, records: Sequence[TaskRecord]) -> None:
        for record in records:
            self._put_unless_over(record)

    async def finish(self, record: TaskRecord) -> bool:
        if not self._put_unless_over(record):
            return False
        self._move(
            record.account,
            available_wei=record.reserved_wei - record.cost_wei,
            reserved_wei=-record.reserved_wei,
        )
        return True

    async def note_unwanted(self, task_id: TaskId) -> None:
        record, assignment = self._tasks[task_id]
        self._tasks[task_id] = record, replace(assignment, is_unwanted=True)

    async def get(self, task_id: TaskId) -> TaskRecord | None:
        found = self._tasks.get(task_id)
        return found[0] if found else None

    async def of_job(self, sender: Address, job_id: JobId) -> TaskRecord | None:
        for record, assignment in self._tasks.values():
            if assignment.sender == sender and record.job_id == job_id:
                return record
        return None

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        matching = [
            replace(record, prompt="", response=None)
            for record, _ in reversed(self._tasks.values())
            if record.account == account
            and (not chosen.states or record.state in chosen.states)
            and (chosen.since_ms is None or record.created_at_ms >= chosen.since_ms)
        ]
        return TaskPage(tuple(matching[: chosen.limit]), len(matching))

    async def unfinished(self, sender: Address) -> tuple[tuple[TaskRecord, Assignment], ...]:
        return tuple(
            (record, assignment)
            for record, assignment in self._tasks.values()
            if assignment.sender == sender and not record.state.is_over
        )

    def _put_unless_over(self, record: TaskRecord) -> bool:
        known, assignment = self._tasks[record.id]
        if known.state.is_over:
            return False
        self._tasks[record.id] = record, assignment
        return True

    def _move(self, account: AccountId, *, available_wei: int, reserved_wei: int) -> None:
        balance = self.balances.get(account, NOTHING)
        self.balances[account] = Balance(
            Wei(balance.available_wei + available_wei), Wei(balance.reserved_wei + reserved_wei)
        )


class MemoryEventStore:
    """The port EventStore."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    async def append(self, events: Sequence[NewEvent]) -> tuple[Event, ...]:
        first = len(self._events) + 1
        new = tuple(
            Event(cursor, event.name, event.at_ms, event.payload, event.account)
            for cursor, event in enumerate(events, first)
        )
        self._events += new
        return new

    async def read(self, *, after: int, limit: int) -> tuple[Event, ...]:
        return tuple(self._events[max(0, after) : max(0, after) + limit])

    async def last_cursor(self) -> int:
        return len(self._events)


class MemoryLeaseStore:
    """The port LeaseStore, for one process: what is not released is held for ever."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}

    async def acquire(self, name: str, holder: str, *, for_s: float) -> bool:
        return self._holders.setdefault(name, holder) == holder

    async def release(self, name: str, holder: str) -> None:
        if self._holders.get(name) == holder:
            del self._holders[name]
