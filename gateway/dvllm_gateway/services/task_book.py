"""One running task's record: durable first, then told to whoever waits or listens."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from decentralized_vllm.protocol.jobs import JobStatus
from dvllm_gateway.errors import RetryableGatewayError
from dvllm_gateway.services.event_bus import Bus
from dvllm_gateway.services.events import EventName, Progress
from dvllm_gateway.services.live_tasks import LiveTask, LiveTasks
from dvllm_gateway.services.own_time import working
from dvllm_gateway.services.progress_notes import ProgressNotes
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.stores import NewEvent, TaskStore
from dvllm_gateway.services.task_endings import why_failed
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord, TaskState

MOST_WHILE_RUNNING = 99.0
PROGRESS_STEP = 2.0

T = TypeVar("T")


def unix_ms() -> int:
    return time.time_ns() // 1_000_000


class TaskBook:
    """No end is told before it is kept: an outage of the database is waited out.

    Progress is told at once and kept later, since the chain can tell it again.
    """

    def __init__(
        self,
        task: LiveTask,
        live: LiveTasks,
        store: TaskStore,
        bus: Bus,
        notes: ProgressNotes,
        *,
        clock_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._task = task
        self._live = live
        self._store = store
        self._bus = bus
        self._notes = notes
        self._clock_ms = clock_ms
        self._percentage = 0.0

    @property
    def record(self) -> TaskRecord:
        return self._task.record.value

    def now_ms(self) -> int:
        return self._clock_ms()

    def job_goes_on(self, job: Job) -> None:
        """A node holds the job, or it waits for one."""
        before = self.record
        self._note(_at_work(before, job, now_ms=self._clock_ms()))
        if before.job_id is None:
            self._tell(EventName.TASK_SUBMITTED)
        if self.record.worker is not None and self.record.worker != before.worker:
            self._tell(EventName.TASK_STARTED)
        if self._bus.is_heard:
            self._task.is_heard.set(True)

    def job_vanished(self) -> None:
        """A re-organisation took the request off the chain; it will be sent again."""
        gone = replace(
            self.record,
            state=TaskState.PENDING,
            job_id=None,
            request_tx=None,
            submitted_at_ms=None,
            started_at_ms=None,
            worker=None,
        )
        self._note(gone)

    async def finish(self, ended: TaskRecord) -> None:
        """Another process may have ended it before: then that end counts."""
        self._notes.drop(ended.id)
        was_mine = await self._kept(lambda: self._store.finish(ended))
        if not was_mine:
            stored = await self._kept(lambda: self._store.get(ended.id))
            ended = stored or ended
        was_submitted = self.record.job_id is not None
        self._task.record.set(ended)
        self._live.remove(self._task)  # whoever waited for it may begin another one at once
        if ended.job_id is not None and not was_submitted:
            self._tell(EventName.TASK_SUBMITTED)
        self._end_stream(ended)
        if ended.state is TaskState.COMPLETED:
            self.words_came(ended.usage.n_output_tokens if ended.usage else 0)
            self._tell(EventName.TASK_COMPLETED)
        else:
            self._tell(EventName.TASK_FAILED)

    def words_came(self, n_tokens: int) -> None:
        """Tells of progress, in steps that somebody may care for."""
        record = self.record
        percentage = 100.0
        if record.state is not TaskState.COMPLETED:
            percentage = min(100.0 * n_tokens / record.max_tokens, MOST_WHILE_RUNNING)
            if percentage < self._percentage + PROGRESS_STEP:
                return
        self._percentage = percentage
        progress = Progress(record.id, round(percentage, 2), n_tokens)
        self._bus.tell(
            NewEvent(EventName.TASK_PROGRESS, self._clock_ms(), progress, record.account)
        )

    def _end_stream(self, ended: TaskRecord) -> None:
        relay = self._task.relay
        if ended.response is None or ended.finish_reason is None or ended.usage is None:
            relay.fail(why_failed(ended))
        else:
            end = StreamEnd(ended.finish_reason, ended.usage, ended)
            relay.complete(ended.response, end)

    def _tell(self, name: EventName) -> None:
        record = self.record
        self._bus.tell(NewEvent(name, self._clock_ms(), record, record.account))

    def _note(self, record: TaskRecord) -> None:
        if record != self.record:
            self._task.record.set(record)
            self._notes.note(record)

    async def _kept(self, access: Callable[[], Awaitable[T]]) -> T:
        retries = Retries()
        while True:
            try:
                with working():
                    return await access()
            except RetryableGatewayError:
                await retries.pause()


def _at_work(record: TaskRecord, job: Job, *, now_ms: int) -> TaskRecord:
    is_running = job.status is JobStatus.LEASED
    return replace(
        record,
        job_id=job.id,
        request_tx=job.request_tx,
        submitted_at_ms=record.submitted_at_ms or now_ms,
        state=TaskState.RUNNING if is_running else TaskState.PENDING,
        started_at_ms=record.started_at_ms or (now_ms if is_running else None),
        worker=job.node if is_running else None,
    )
