"""The port Tasks: what accounts may do with their tasks, wherever these run."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.errors import (
    Conflict,
    NetworkUnavailable,
    NotFound,
    RetryableGatewayError,
    TaskFailed,
    TaskTimeout,
)
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.known_tasks import KnownTasks
from dvllm_gateway.services.live_tasks import LiveTask, LiveTasks
from dvllm_gateway.services.own_time import waiting
from dvllm_gateway.services.stores import TaskStore
from dvllm_gateway.services.task_book import unix_ms
from dvllm_gateway.services.task_crew import TaskCrew
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_making import TaskMaker
from dvllm_gateway.services.task_records import in_one_piece
from dvllm_gateway.services.task_relay import Relay
from dvllm_gateway.services.tasks import (
    StreamEnd,
    TaskFilter,
    TaskPage,
    TaskRecord,
    TaskRequest,
    TaskState,
    TextChunk,
)

LOOK_EVERY_S = 0.5  # at a task that another gateway runs


class TaskService:
    def __init__(
        self,
        store: TaskStore,
        live: LiveTasks,
        crew: TaskCrew,
        limits: TaskLimits | None = None,
        *,
        clock_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._store = store
        self._live = live
        self._crew = crew
        self._limits = limits or TaskLimits()
        self._known = KnownTasks(store, live)
        self._maker = TaskMaker(store, live, self._known, crew, self._limits, clock_ms)

    # ---------------------------------------------------------------- submitting
    async def submit(
        self, account: AccountId, request: TaskRequest, *, task_id: TaskId | None = None
    ) -> TaskRecord:
        """See the port; NoCapacity also while the gateway's own money is short."""
        ids = None if task_id is None else [task_id]
        (record,) = await self._maker.make(account, [request], ids)
        return record

    async def submit_all(
        self,
        account: AccountId,
        requests: Sequence[TaskRequest],
        *,
        task_ids: Sequence[TaskId] | None = None,
    ) -> tuple[TaskRecord, ...]:
        return await self._maker.make(account, requests, task_ids)

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        return await self._maker.preview(account, request)

    # ---------------------------------------------------------------- reading
    async def get(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        return await self._known.of(account, task_id)

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        page = await self._store.list(account, chosen)
        return replace(page, tasks=tuple(self._as_it_is_now(record) for record in page.tasks))

    def _as_it_is_now(self, record: TaskRecord) -> TaskRecord:
        """The database hears of progress a little later than who asks for the task itself."""
        task = self._live.find(record.id)
        if task is None:
            return record
        return replace(task.record.value, prompt=record.prompt, response=record.response)

    # ---------------------------------------------------------------- waiting
    async def wait_submitted(
        self, account: AccountId, task_id: TaskId, timeout_s: float
    ) -> TaskRecord:
        return await self._wait(
            account, task_id, timeout_s, lambda task: task.job_id is not None or task.state.is_over
        )

    async def wait_over(self, account: AccountId, task_id: TaskId, timeout_s: float) -> TaskRecord:
        record = await self._wait(account, task_id, timeout_s, lambda task: task.state.is_over)
        if not record.state.is_over:
            raise TaskTimeout(f"the task still runs after {timeout_s:g} s", task_created=True)
        return record

    async def _wait(
        self,
        account: AccountId,
        task_id: TaskId,
        timeout_s: float,
        holds: Callable[[TaskRecord], bool],
    ) -> TaskRecord:
        record = await self.get(account, task_id)
        if holds(record):
            return record
        try:
            with waiting():
                async with asyncio.timeout(timeout_s):
                    return await self._until(task_id, holds)
        except TimeoutError:
            return await self.get(account, task_id)

    async def _until(self, task_id: TaskId, holds: Callable[[TaskRecord], bool]) -> TaskRecord:
        while True:
            task = self._live.find(task_id)
            if task is not None:
                await _changed(task, holds)
            record = await self._known.find(task_id)
            if holds(record):
                return record
            await asyncio.sleep(LOOK_EVERY_S)

    # ---------------------------------------------------------------- streaming
    async def stream(
        self, account: AccountId, task_id: TaskId
    ) -> AsyncIterator[TextChunk | StreamEnd]:
        told = await self._heard(account, task_id)
        if isinstance(told, Relay):
            async for item in told.listen():
                yield item
            return
        for item in in_one_piece(told):
            yield item

    async def answer(self, account: AccountId, task_id: TaskId) -> StreamEnd:
        told = await self._heard(account, task_id)
        if isinstance(told, Relay):
            try:
                return await told.end()
            except TaskFailed:  # of the words told so far, perhaps; who heard none waits on
                told = await self._until_over(task_id)
        return in_one_piece(told)[1]

    async def _heard(self, account: AccountId, task_id: TaskId) -> Relay | TaskRecord:
        """What is told of the answer while it is made; the task at its end where another process
        runs it, or where it is over."""
        record = await self.get(account, task_id)
        task = self._live.find(task_id)
        if task is not None and not record.state.is_over:
            task.is_heard.set(True)
            with waiting():
                await task.until_sent(self._limits.unsent_s)
            return task.relay
        if record.state.is_over:
            return record
        return await self._until_over(task_id)

    async def _until_over(self, task_id: TaskId) -> TaskRecord:
        with waiting():
            return await self._until(task_id, lambda task: task.state.is_over)

    async def document(self, task: TaskRecord) -> ResponseDocument:
        if task.worker is None or task.response_cid is None:
            raise NotFound("the task has no answer")
        try:
            return await self._crew.market().document(task.worker, task.response_cid)
        except RetryableGatewayError as error:
            raise NetworkUnavailable(
                "the rest of the answer can not be read now", task_created=True
            ) from error

    # ---------------------------------------------------------------- cancelling
    async def cancel(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        """The record as it is then: a task that a node works on goes on, and keeps its answer."""
        record = await self.get(account, task_id)
        if record.state.is_over:
            raise Conflict("the task is over", task_created=True)
        task = self._live.find(task_id)
        if task is not None:
            task.is_unwanted = True
        await self._store.note_unwanted(task_id)  # whoever goes on with it after a restart knows
        if task is None:
            return record
        if not _is_held(task):
            self._crew.take_back(task)
            try:
                with waiting():
                    async with asyncio.timeout(self._limits.cancel_wait_s):
                        await _changed(task, lambda now: now.state is not TaskState.PENDING)
            except TimeoutError:
                pass
        return task.record.value


async def _changed(task: LiveTask, holds: Callable[[TaskRecord], bool]) -> None:
    await task.record.until(lambda record: task.is_left or holds(record))


def _is_held(task: LiveTask) -> bool:
    job = task.watch.value
    return isinstance(job, Job) and job.status is not JobStatus.OPEN
