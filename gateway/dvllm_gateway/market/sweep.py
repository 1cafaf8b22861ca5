"""Looks at all open jobs now and then: ends the overdue, and finds what their events left out."""

import asyncio
import logging

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import JobState
from decentralized_vllm.requester.overdue import OverdueJobs
from dvllm_gateway.market.chain_market import reread
from dvllm_gateway.market.follower import Follower
from dvllm_gateway.services.task_jobs import Job

log = logging.getLogger(__name__)

EVERY_S = 5.0


class Sweep:
    def __init__(
        self, network: Network, follower: Follower, overdue: OverdueJobs, *, every_s: float
    ) -> None:
        self._network = network
        self._follower = follower
        self._overdue = overdue
        self._every_s = every_s
        self._ahead: set[JobId] = set()

    async def run(self) -> None:
        """Until cancelled. What goes wrong is logged and tried again the next time."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.once()
            except DvllmError as error:
                log.info("jobs_not_swept", extra={"reason": str(error)})

    async def once(self) -> None:
        jobs = self._follower.open_jobs()
        self._ahead &= {job.id for job in jobs}
        if not jobs:
            return
        now_s = await self._network.jobs.chain_time_s()
        results = await asyncio.gather(
            *(self._look_at(job, now_s) for job in jobs), return_exceptions=True
        )
        for result in results:
            if isinstance(result, DvllmError):
                log.info("job_not_swept", extra={"reason": str(result)})
            elif isinstance(result, BaseException):
                raise result

    async def _look_at(self, job: Job, now_s: int) -> None:
        state = await self._network.jobs.job(job.id)
        await self._catch_up(job, state)
        await self._overdue.expire_if_due(state, now_s=now_s)

    async def _catch_up(self, job: Job, state: JobState) -> None:
        """The state may be of a newer block than the events; not at two looks in a row."""
        is_ahead = state.status is not job.status
        if is_ahead and job.id in self._ahead:
            await reread(self._network, self._follower, job.id)
        (self._ahead.add if is_ahead else self._ahead.discard)(job.id)
