"""Progress is written behind those who wait: the newest of each task, and nothing after its end."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.progress_notes import ProgressNotes
from dvllm_gateway.services.tasks import TaskRecord, TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.gateway_in_memory.tasks import task
from tests.support.waiting import wait_until

FIRST = task(id=TaskId("task_1"))
SECOND = task(id=TaskId("task_2"))


class Store(MemoryTaskStore):
    """`n_failures` updates fail first."""

    def __init__(self, n_failures: int = 0) -> None:
        super().__init__()
        self.written: list[TaskRecord] = []
        self._n_failures = n_failures

    async def update(self, records: Sequence[TaskRecord]) -> None:
        await asyncio.sleep(0)
        if self._n_failures:
            self._n_failures -= 1
            raise NetworkUnavailable("the database is away")
        self.written.extend(records)


async def test_notes__several_of_one_task__newest_alone_is_written() -> None:
    store = Store()
    notes = ProgressNotes(store, gather_s=0)
    running = replace(FIRST, state=TaskState.RUNNING)
    for record in (FIRST, SECOND, running):
        notes.note(record)
    writing = asyncio.create_task(notes.run())
    await wait_until(lambda: len(store.written) == 2, what="both tasks")
    writing.cancel()
    assert sorted(store.written, key=lambda record: record.id) == [running, SECOND]


async def test_notes__task_ended__not_written() -> None:
    store = Store()
    notes = ProgressNotes(store, gather_s=0)
    notes.note(FIRST)
    notes.note(SECOND)
    notes.drop(FIRST.id)
    writing = asyncio.create_task(notes.run())
    await wait_until(lambda: bool(store.written), what="the other task")
    writing.cancel()
    assert store.written == [SECOND]


async def test_notes__database_away__written_when_it_is_back() -> None:
    store = Store(n_failures=1)
    notes = ProgressNotes(store, gather_s=0)
    notes.note(FIRST)
    writing = asyncio.create_task(notes.run())
    await wait_until(lambda: store.written == [FIRST], what="the second attempt")
    writing.cancel()


async def test_notes__told_to_stop__writes_what_it_has() -> None:
    store = Store()
    notes = ProgressNotes(store, gather_s=60)
    writing = asyncio.create_task(notes.run())
    notes.note(FIRST)
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait({writing})
    assert store.written == [FIRST]
