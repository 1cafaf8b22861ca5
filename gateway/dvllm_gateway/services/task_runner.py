"""Sees one task through: to the chain, along its job, to the answer or the refund."""

import asyncio
import logging
from dataclasses import dataclass

from decentralized_vllm.protocol.jobs import JobStatus
from dvllm_gateway.errors import (
    GatewayError,
    NetworkUnavailable,
    RetryableGatewayError,
    TaskFailed,
)
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.live_tasks import LiveTask
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.task_book import TaskBook
from dvllm_gateway.services.task_endings import completed, ended_on_chain, failed, unwanted
from dvllm_gateway.services.task_jobs import Job, Rejected
from dvllm_gateway.services.task_market import AnswerMissing, Delivery, Market
from dvllm_gateway.services.task_streams import NodeListener
from dvllm_gateway.services.tasks import TaskRecord

log = logging.getLogger(__name__)

BOOKS_AFTER_S = 0.15  # for as long a new block is left to those who wait for what it begins


@dataclass(frozen=True, slots=True)
class TaskPatience:
    """Seconds after which what can not be sent, or an answer that nobody has, is given up."""

    submit_s: float = 600.0
    answer_s: float = 300.0


class TaskRunner:
    """`run` may be called again after it broke off: every step is known to have happened or not."""

    def __init__(
        self, task: LiveTask, market: Market, book: TaskBook, patience: TaskPatience
    ) -> None:
        self._task = task
        self._market = market
        self._book = book
        self._patience = patience

    async def run(self) -> None:
        """Returns when the task is over and that is durable."""
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen_when_asked())
                await self._book.finish(await self._ending())
                listening.cancel()
        finally:
            self._market.forget(self._task.watch)
        record = self._book.record
        log.info(
            "task_over",
            extra={"task_id": record.id, "job_id": record.job_id, "state": record.state.value},
        )

    async def _ending(self) -> TaskRecord:
        try:
            if await self._is_sent():
                return await self._follow()
        except GatewayError as error:
            return failed(self._book.record, error, now_ms=self._book.now_ms())
        return unwanted(self._book.record, now_ms=self._book.now_ms())

    async def _is_sent(self) -> bool:
        """See `_submit`; however that ends, who waits for it waits no longer."""
        try:
            return await self._submit()
        finally:
            self._task.unsent.set(None)

    async def _submit(self) -> bool:
        """False if its owner cancelled it before it was sent. Raises what stops it for good."""
        retries = Retries(limit_s=self._patience.submit_s)
        while True:
            order = self._task.begin()
            try:
                if self._task.is_unwanted and not await self._market.is_submitted(order.task_id):
                    return False
                await self._market.submit(order, self._task.watch)
                return True
            except RetryableGatewayError as error:
                self._task.unsent.set(error.message)
                log.warning(
                    "task_not_sent", extra={"task_id": order.task_id, "reason": error.message}
                )
                if retries.is_over and not await self._may_be_sent(order.task_id):
                    raise
            await retries.pause()

    async def _may_be_sent(self, task_id: TaskId) -> bool:
        """Also while nobody can tell: the gateway would pay for a job that nobody waits for."""
        try:
            return await self._market.is_submitted(task_id)
        except RetryableGatewayError:
            return True

    async def _follow(self) -> TaskRecord:
        watch = self._task.watch
        job = await watch.until(lambda now: now is not None)
        while True:
            ended = await self._look_at(job)
            if ended is not None:
                return ended
            job = await watch.after(job)

    async def _look_at(self, job: Job | Rejected | None) -> TaskRecord | None:
        """The task's end, if this is it."""
        if isinstance(job, Rejected):
            raise job.error
        if job is None:
            self._book.job_vanished()
        elif job.status is JobStatus.DELIVERED:
            if self._task.relay.is_over:  # who waited has the answer; others are in more of a hurry
                await asyncio.sleep(BOOKS_AFTER_S)
            delivery = await self._delivery(job)
            if delivery is not None:
                return completed(self._book.record, job, delivery, now_ms=self._book.now_ms())
        elif job.status.is_over:
            return ended_on_chain(self._book.record, job, now_ms=self._book.now_ms())
        else:
            self._book.job_goes_on(job)
            await self._take_back_if_unwanted(job)
        return None

    async def _take_back_if_unwanted(self, job: Job) -> None:
        if self._task.is_unwanted and job.status is JobStatus.OPEN:
            try:
                await self._market.cancel(job)
            except GatewayError as error:  # it ends in time by itself
                log.info("job_not_cancelled", extra={"job_id": job.id, "reason": error.message})

    async def _delivery(self, job: Job) -> Delivery | None:
        """None when a re-organisation took it back meanwhile. Raises TaskFailed, AnswerMissing.

        It is paid for: while the chain alone is silent, the answer is there and is waited for.
        """
        retries, missing = Retries(), None
        while self._task.watch.value is job:
            try:
                return await self._market.delivery(job)
            except (NetworkUnavailable, TaskFailed) as error:
                log.warning("answer_not_read", extra={"job_id": job.id, "reason": error.message})
                missing = self._missing_since(error, missing)
                if isinstance(error, TaskFailed) or (missing is not None and missing.is_over):
                    raise
            await retries.pause()
        return None

    def _missing_since(self, error: GatewayError, before: Retries | None) -> Retries | None:
        if not isinstance(error, AnswerMissing):
            return None
        return before or Retries(limit_s=self._patience.answer_s)

    async def _listen_when_asked(self) -> None:
        await self._task.is_heard.until(bool)
        await NodeListener(self._market, self._task, self._book.words_came).run()
