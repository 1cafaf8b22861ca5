"""Tasks in memory: those that run here with all who wait for them, and those lately ended."""

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Self

from dvllm_gateway.errors import GatewayError, NetworkUnavailable, TaskTimeout
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.latest import Latest
from dvllm_gateway.services.stores import Assignment
from dvllm_gateway.services.task_jobs import JobWatch
from dvllm_gateway.services.task_market import Order, Stored
from dvllm_gateway.services.task_relay import Relay
from dvllm_gateway.services.tasks import TaskRecord

ENDED_KEPT = 4096
ENDED_CHARACTERS = 64_000_000
UNSENT = "the network does not answer"


@dataclass(slots=True)
class LiveTask:
    """A task that runs in this process.

    `is_new` until it is begun for the first time; `stored` if its submission was made durable with
    it, until that is begun. `is_heard` once somebody listens to its answer,
    `is_unwanted` once its owner has cancelled it, `is_left` once it goes on elsewhere, if at all:
    whoever waits for it has to look again. `unsent` tells why nothing of it is on its way to the
    chain yet: None once it is, and when nobody here tries any more.
    """

    assignment: Assignment
    record: Latest[TaskRecord]
    watch: JobWatch = field(default_factory=lambda: JobWatch(None))
    relay: Relay = field(default_factory=Relay)
    is_new: bool = False
    stored: Stored | None = None
    is_heard: Latest[bool] = field(default_factory=lambda: Latest(False))
    unsent: Latest[str | None] = field(default_factory=lambda: Latest(UNSENT))
    is_unwanted: bool = False
    is_left: bool = False

    @classmethod
    def of(cls, record: TaskRecord, assignment: Assignment) -> Self:
        return cls(assignment, Latest(record), is_unwanted=assignment.is_unwanted)

    @property
    def order(self) -> Order:
        record, assignment = self.record.value, self.assignment
        return Order(
            task_id=record.id,
            model_id=record.model_id,
            document=assignment.document,
            prompt_cid=record.prompt_cid,
            ceiling_wei=assignment.ceiling_wei,
            share=assignment.share,
            escrow_wei=record.reserved_wei,
            node=assignment.node,
            is_new=self.is_new,
            stored=self.stored,
        )

    def begin(self) -> Order:
        """What to send now. Should that fail, somebody has to look next time."""
        order = self.order
        self.is_new, self.stored = False, None
        return order

    async def until_sent(self, timeout_s: float) -> None:
        """Raises TaskTimeout: for so long there was nothing to be told. The task goes on."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.unsent.until(lambda reason: reason is None)
        except TimeoutError:
            raise TaskTimeout(
                f"the task was not sent within {timeout_s:g} s: {self.unsent.value}",
                details=f"task {self.record.value.id} goes on; read it later",
                task_created=True,
            ) from None


class LiveTasks:
    """Whoever holds a LiveTask still sees its end after it has left this list."""

    def __init__(self, *, ended_kept: int = ENDED_KEPT) -> None:
        self._live: dict[TaskId, LiveTask] = {}
        self._per_account: Counter[AccountId] = Counter()
        self._ended: OrderedDict[TaskId, TaskRecord] = OrderedDict()
        self._ended_characters = 0
        self._ended_kept = ended_kept

    def __len__(self) -> int:
        return len(self._live)

    def count_of(self, account: AccountId) -> int:
        return self._per_account[account]

    def find(self, task_id: TaskId) -> LiveTask | None:
        return self._live.get(task_id)

    def ended(self, task_id: TaskId) -> TaskRecord | None:
        return self._ended.get(task_id)

    def add(self, task: LiveTask) -> None:
        record = task.record.value
        if self._live.get(record.id) is not task:
            self._live[record.id] = task
            self._per_account[record.account] += 1

    def remove(self, task: LiveTask) -> None:
        """It ended here, or was never begun."""
        record = task.record.value
        if self._live.get(record.id) is not task:
            return
        del self._live[record.id]
        self._per_account[record.account] -= 1
        if not self._per_account[record.account]:
            del self._per_account[record.account]
        if record.state.is_over:
            self.note_ended(record)

    def drop(self, task: LiveTask, error: BaseException) -> None:
        """It was not made: who waits for it already is told."""
        self.remove(task)
        task.is_left = True
        task.record.wake()
        task.unsent.set(None)
        told = error if isinstance(error, GatewayError) else NetworkUnavailable("it was not made")
        task.relay.fail(told)

    def leave_all(self) -> None:
        """What runs here is to go on elsewhere, or later."""
        for task in tuple(self._live.values()):
            self.remove(task)
            task.is_left = True
            task.record.wake()
            task.unsent.set(None)
            task.relay.fail(
                NetworkUnavailable("this gateway stops; the task goes on", task_created=True)
            )

    def note_ended(self, record: TaskRecord) -> None:
        self._drop_ended(record.id)
        self._ended[record.id] = record
        self._ended_characters += _size(record)
        while len(self._ended) > self._ended_kept or self._ended_characters > ENDED_CHARACTERS:
            self._drop_ended(next(iter(self._ended)))

    def _drop_ended(self, task_id: TaskId) -> None:
        record = self._ended.pop(task_id, None)
        if record is not None:
            self._ended_characters -= _size(record)


def _size(record: TaskRecord) -> int:
    return len(record.prompt) + len(record.response or "")
