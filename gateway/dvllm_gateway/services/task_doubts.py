"""Tasks of which nobody knows whether they were made, until the database tells.

Who submits one may leave in the middle, and a database may fall silent when it has it already. Left
alone, such a task would hold its account's money until the gateway starts again.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from dvllm_gateway.errors import GatewayError
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.live_tasks import LiveTask, LiveTasks
from dvllm_gateway.services.stores import Assignment, TaskStore
from dvllm_gateway.services.tasks import TaskRecord

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
MADE_WITHIN_S = 60.0  # no transaction under way takes longer


@dataclass(frozen=True, slots=True)
class _Doubt:
    record: TaskRecord
    assignment: Assignment
    is_wanted: bool
    noted_at_s: float


class Doubts:
    """`run` must run. What was made is started; unless it is wanted, only to be ended."""

    def __init__(
        self, live: LiveTasks, store: TaskStore, start: Callable[[LiveTask], None]
    ) -> None:
        self._live = live
        self._store = store
        self._start = start
        self._open: dict[TaskId, _Doubt] = {}
        self._has_some = asyncio.Event()

    def note(self, task: LiveTask, *, is_wanted: bool) -> None:
        record = task.record.value
        self._open[record.id] = _Doubt(record, task.assignment, is_wanted, time.monotonic())
        self._has_some.set()

    def forget(self, task_id: TaskId) -> None:
        """Somebody knows now, and sees to it."""
        self._open.pop(task_id, None)

    async def run(self) -> None:
        """Until cancelled. An outage of the database is waited out."""
        while True:
            await self._has_some.wait()
            await asyncio.sleep(LOOK_EVERY_S)
            for doubt in tuple(self._open.values()):
                await self._look(doubt)
            if not self._open:
                self._has_some.clear()

    async def _look(self, doubt: _Doubt) -> None:
        asked_at_s, task_id = time.monotonic(), doubt.record.id
        try:
            stored = await self._store.get(task_id)
            if stored is not None and not doubt.is_wanted and not stored.state.is_over:
                await self._store.note_unwanted(task_id)
        except GatewayError as error:
            log.warning("task_in_doubt", extra={"task_id": task_id, "reason": error.message})
            return
        if self._open.get(task_id) is not doubt:
            return
        if stored is not None:
            self.forget(task_id)
            self._see_to(doubt, stored)
        elif asked_at_s > doubt.noted_at_s + MADE_WITHIN_S:
            self.forget(task_id)

    def _see_to(self, doubt: _Doubt, stored: TaskRecord) -> None:
        """One that is another record was taken up by another process, or has ended."""
        running = self._live.find(stored.id)
        if running is not None:
            running.is_unwanted = running.is_unwanted or not doubt.is_wanted
        elif stored == doubt.record:
            log.info("task_found", extra={"task_id": stored.id, "is_wanted": doubt.is_wanted})
            assignment = replace(doubt.assignment, is_unwanted=not doubt.is_wanted)
            self._start(LiveTask.of(stored, assignment))
