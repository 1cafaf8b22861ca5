"""Waits for one job's end, helps it along, and fetches the answer."""

import asyncio
import logging
import time

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import ChainUnavailable, ContentUnavailable, UnknownJob
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import JobState
from decentralized_vllm.requester.care import JobCare
from decentralized_vllm.requester.reader import TaskReader, require_answer
from decentralized_vllm.requester.tasks import Task

log = logging.getLogger(__name__)

# A node publishes before it delivers, so an answer that can not be read is a passing fault.
ANSWER_PATIENCE_S = 60.0
ANSWER_RETRY_S = 2.0
# An endpoint behind the one that took the submission does not know the job yet.
UNKNOWN_PATIENCE_S = 15.0


class Waiting:
    def __init__(
        self, network: Network, reader: TaskReader, care: JobCare, *, poll_s: float
    ) -> None:
        self._network = network
        self._reader = reader
        self._care = care
        self._poll_s = poll_s

    async def completed(self, job_id: JobId) -> Task:
        """Raises JobFailed, JobExpired, JobCancelled; UnknownJob; ContentUnavailable,
        InvalidResponse and InvalidReceipt when the answer can not be had or is not the node's.

        An RPC outage is waited out: the job goes on without us.
        """
        await self._until_over(job_id)
        self._care.forget(job_id)
        return require_answer(await self._with_answer(job_id))

    async def _until_over(self, job_id: JobId) -> None:
        started_s = time.monotonic()
        hints = self._network.hints
        while True:
            seen = hints.count
            try:
                state = await self._network.coordinator.job(job_id)
                if state.status.is_over:
                    return
                await self._recall(state)
                await self._care.look_after(state)
            except UnknownJob:
                if time.monotonic() - started_s > UNKNOWN_PATIENCE_S:
                    raise
            except ChainUnavailable as error:
                log.warning("wait_goes_on", extra={"job_id": job_id, "reason": error.message})
            await hints.wait(seen, self._poll_s)

    async def _recall(self, state: JobState) -> None:
        if self._care.misses_prompt_of(state):
            request = await self._network.jobs.request(state.job_id)
            self._care.remember(state.job_id, request.prompt_cid)

    async def _with_answer(self, job_id: JobId) -> Task:
        given_up_s = time.monotonic() + ANSWER_PATIENCE_S
        while True:
            try:
                return await self._reader.task(job_id)
            except (ContentUnavailable, ChainUnavailable):
                if time.monotonic() > given_up_s:
                    raise
            await asyncio.sleep(ANSWER_RETRY_S)
