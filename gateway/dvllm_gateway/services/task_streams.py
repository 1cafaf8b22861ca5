"""Listens to the node that holds a task's lease, and passes on what it tells."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace

from decentralized_vllm.protocol.jobs import JobStatus
from dvllm_gateway.errors import NetworkUnavailable, TaskFailed
from dvllm_gateway.services.live_tasks import LiveTask
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_market import (
    Answer,
    AnswerBegins,
    AnswerGoesOn,
    AnswerPublished,
    Market,
)
from dvllm_gateway.services.task_relay import Relay
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class NodeListener:
    """Feeds the relay of one task until the answer is whole; takeovers are followed.

    The relay's end may also come from the chain, whichever is sooner.
    """

    def __init__(self, market: Market, task: LiveTask, on_words: Callable[[int], None]) -> None:
        self._market = market
        self._task = task
        self._relay = task.relay
        self._on_words = on_words
        self._pause_s = FIRST_PAUSE_S

    async def run(self) -> None:
        watch = self._task.watch
        while not self._relay.is_over:
            job = watch.value
            if isinstance(job, Job) and job.lease is not None:
                await self._until_lease_ends(job, self._hear(job))
            else:
                await watch.after(job)

    async def _until_lease_ends(self, job: Job, work: Coroutine[None, None, None]) -> None:
        hearing = asyncio.create_task(work)
        ending = asyncio.create_task(self._lease_end(job))
        try:
            await asyncio.wait({hearing, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, ending):
                task.cancel()
            await asyncio.wait({hearing, ending})
        if not hearing.cancelled():
            hearing.result()

    async def _lease_end(self, job: Job) -> None:
        """A delivery is no such end: the node may still be telling of its answer."""
        await self._task.watch.until(
            lambda now: (
                not isinstance(now, Job)
                or (now.lease != job.lease and now.status is not JobStatus.DELIVERED)
            )
        )

    async def _hear(self, job: Job) -> None:
        """Asks the same node again for as long as it holds the lease: it may have restarted."""
        self._pause_s = FIRST_PAUSE_S
        while not self._relay.is_over:
            try:
                await self._listen(job)
            except NetworkUnavailable as error:
                log.info("node_not_heard", extra={"job_id": job.id, "reason": error.message})
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _listen(self, job: Job) -> None:
        attempt = self._new_attempt()
        async with aclosing(self._market.listen(job)) as words:
            async for word in words:
                match word:
                    case AnswerBegins():
                        attempt = self._new_attempt()
                    case AnswerGoesOn(text, n_tokens):
                        self._pause_s = FIRST_PAUSE_S
                        attempt.add(text, n_tokens)
                        self._on_words(self._relay.n_tokens)
                    case AnswerPublished():
                        await self._take(job, word)
                if self._relay.is_over:
                    return

    def _new_attempt(self) -> "_Attempt":
        return _Attempt(self._relay, self._task.record.value.max_tokens)

    async def _take(self, job: Job, word: AnswerPublished) -> None:
        try:
            answer = await self._market.published(job, word)
        except TaskFailed as error:  # the chain has the last word on it
            log.warning("answer_refused", extra={"job_id": job.id, "reason": error.message})
            return
        task = with_answer(self._task.record.value, job, answer)
        end = StreamEnd(answer.finish_reason, answer.usage, task)
        self._relay.complete(answer.text, end)


def with_answer(record: TaskRecord, job: Job, answer: Answer) -> TaskRecord:
    return replace(
        record,
        job_id=job.id,
        request_tx=job.request_tx,
        worker=answer.worker,
        response=answer.text,
        response_cid=answer.cid,
        finish_reason=answer.finish_reason,
        usage=answer.usage,
        receipt=answer.receipt,
    )


class _Attempt:
    """An answer from its start, held against what was told of one before."""

    def __init__(self, relay: Relay, max_tokens: int) -> None:
        self._relay = relay
        self._max_tokens = max_tokens
        self._told = relay.text
        self._at = 0
        self._n_tokens = 0

    def add(self, text: str, n_tokens: int) -> None:
        known = self._told[self._at : self._at + len(text)]
        self._at += len(text)
        self._n_tokens += n_tokens
        if not text.startswith(known):
            self._fail("another node took the job over and answers differently")
        elif len(text) > len(known):
            self._say(text[len(known) :], n_tokens)

    def _say(self, text: str, n_tokens: int) -> None:
        """No more than an answer can have: a node may tell of one without end."""
        if self._relay.fits(text, max_tokens=self._max_tokens):
            new = self._n_tokens - self._relay.n_tokens
            self._relay.say(text, max(0, min(new, n_tokens)))
        else:
            self._fail("the node tells more than an answer can hold")

    def _fail(self, message: str) -> None:
        details = "the task goes on; read it for the whole answer"
        self._relay.fail(TaskFailed(message, details=details, task_created=True))
