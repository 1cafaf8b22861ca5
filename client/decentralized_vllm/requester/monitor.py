"""Watches the account's jobs and tells the handlers, until it is stopped."""

import asyncio
import logging
from dataclasses import dataclass, replace

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.request_history import RequestHistory
from decentralized_vllm.protocol.errors import DvllmError, PermanentError, UnknownJob
from decentralized_vllm.protocol.ids import Address, JobId
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from decentralized_vllm.requester.care import JobCare
from decentralized_vllm.requester.handlers import Handlers
from decentralized_vllm.requester.progress import ProgressReader
from decentralized_vllm.requester.reader import TaskReader
from decentralized_vllm.requester.tasks import Task, TaskProgress, TaskStatus

log = logging.getLogger(__name__)

READ_AGAIN_BLOCKS = 4  # logs an endpoint had not indexed yet, and small re-organisations
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0  # for an answer that can not be read
INVALID_ANSWER = "invalid_answer"


@dataclass(slots=True)
class _Watched:
    """A job under watch. `runs_at` is the node whose lease the handlers know of."""

    runs_at: Address | None = None
    progress: asyncio.Task[None] | None = None
    ending: asyncio.Task[None] | None = None


class Monitor:
    def __init__(
        self,
        network: Network,
        requests: RequestHistory,
        reader: TaskReader,
        care: JobCare,
        handlers: Handlers,
        progress: ProgressReader,
        *,
        poll_s: float,
    ) -> None:
        self._network = network
        self._requests = requests
        self._reader = reader
        self._care = care
        self._handlers = handlers
        self._progress = progress
        self._poll_s = poll_s
        self._watched: dict[JobId, _Watched] = {}
        self._announced: set[JobId] = set()
        self._first_block: int | None = None
        self._next_block = 0
        self._telling_end = asyncio.Lock()
        self._is_over = False

    def watch(self, job_id: JobId) -> None:
        """A job whose submission the handlers know of."""
        if job_id not in self._announced:
            self._announced.add(job_id)
            self._watched[job_id] = _Watched()

    async def announce(self, task: Task) -> None:
        """Tells once of a submission, whoever sees it first: the submitter or the monitor."""
        if task.id not in self._announced:
            self.watch(task.id)
            await self._handlers.tell("task_submitted", task)

    async def run(self) -> None:
        """Until cancelled or over. What goes wrong in a round is tried again in the next."""
        hints = self._network.hints
        try:
            while not self._is_over:
                seen = hints.count
                try:
                    await self._round()
                except DvllmError as error:
                    log.warning("monitoring_goes_on", extra={"reason": error.message})
                await hints.wait(seen, self._poll_s)
        finally:
            self.end()

    def end(self) -> None:
        """Nothing more is told. The handler that asks for this is not broken off."""
        if not self._is_over:
            self._is_over = True
            for watched in self._watched.values():
                _stop(watched.progress)
                _stop(watched.ending)

    async def _round(self) -> None:
        await self._find_new()
        for job_id in list(self._watched):
            if self._is_over:
                return
            try:
                await self._look(await self._network.coordinator.job(job_id))
            except UnknownJob:
                log.info("job_vanished", extra={"job_id": job_id})
            except DvllmError as error:
                _log_not_told(job_id, error)

    async def _find_new(self) -> None:
        latest = await self._requests.latest_block()
        if self._first_block is None:
            self._first_block = self._next_block = latest + 1
            return
        first = max(self._first_block, self._next_block - READ_AGAIN_BLOCKS)
        if first > latest:
            return
        for request in await self._requests.between(first, latest):
            if request.job_id not in self._announced:
                await self.announce(await self._reader.task(request.job_id, with_answer=False))
        self._next_block = latest + 1

    async def _look(self, state: JobState) -> None:
        watched = self._watched.get(state.job_id)
        if watched is None or watched.ending is not None:
            return
        if state.status.is_over:
            watched.ending = asyncio.create_task(self._end(state.job_id, watched))
            return
        await self._care.look_after(state)
        if state.status is JobStatus.LEASED and state.node != watched.runs_at:
            await self._start(state, watched)

    async def _start(self, state: JobState, watched: _Watched) -> None:
        task = await self._reader.task(state.job_id, with_answer=False)
        watched.runs_at = state.node
        await self._handlers.tell("task_started", task)
        _stop(watched.progress)
        if self._handlers.wants("task_progress") and not self._is_over:
            watched.progress = asyncio.create_task(self._tell_progress(task, state.node))

    async def _tell_progress(self, task: Task, node: Address) -> None:
        async for progress in self._progress.follow(task.id, task.prompt_cid, node):
            await self._handlers.tell("task_progress", progress)
            if self._is_over:
                return

    async def _end(self, job_id: JobId, watched: _Watched) -> None:
        """Beside the rounds: one node that hides its answer must not hold up all others' news."""
        try:
            task = await self._ended(job_id)
        except UnknownJob:
            task = None
        if task is None or not task.status.is_over:
            watched.ending = None  # by an endpoint that lags, or a re-organisation: look on
            return
        _stop(watched.progress)
        async with self._telling_end:
            del self._watched[job_id]
            self._care.forget(job_id)
            await self._tell_end(task)

    async def _ended(self, job_id: JobId) -> Task:
        """Asks ever more seldom for what can not be read. Raises UnknownJob."""
        pause_s = FIRST_RETRY_S
        while True:
            try:
                return await self._judged(job_id)
            except UnknownJob:
                raise
            except DvllmError as error:
                _log_not_told(job_id, error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_RETRY_S)

    async def _judged(self, job_id: JobId) -> Task:
        """The task with its answer, or as a failed one if what was delivered is none."""
        try:
            return await self._reader.task(job_id)
        except UnknownJob:
            raise
        except PermanentError as error:
            log.warning("answer_refused", extra={"job_id": job_id, "reason": error.message})
            task = await self._reader.task(job_id, with_answer=False)
            return replace(task, failure=INVALID_ANSWER)

    async def _tell_end(self, task: Task) -> None:
        if task.status is not TaskStatus.COMPLETED or task.failure is not None:
            await self._handlers.tell("task_failed", task)
            return
        if task.usage is not None:
            done = TaskProgress(task.id, task.usage.n_output_tokens, 100.0, task.response or "")
            await self._handlers.tell("task_progress", done)
        await self._handlers.tell("task_completed", task)


def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None and task is not asyncio.current_task():
        task.cancel()


def _log_not_told(job_id: JobId, error: DvllmError) -> None:
    log.warning("job_not_told", extra={"job_id": job_id, "reason": error.message})
