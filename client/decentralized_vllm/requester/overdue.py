"""Ends a job that nobody answered in time, so that its escrow comes back."""

import logging

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.job_machine import JobClocks, JobModel, can_expire
from decentralized_vllm.protocol.jobs import JobState
from decentralized_vllm.protocol.ports import TransactionSender

log = logging.getLogger(__name__)


class OverdueJobs:
    """Calls expireJob when the chain's clock allows it; anyone else may have been faster."""

    def __init__(self, network: Network, sender: TransactionSender) -> None:
        self._network = network
        self._sender = sender

    async def expire_if_due(self, state: JobState, *, now_s: int | None = None) -> None:
        """Does nothing before its time. Failures are logged and tried again at the next call.

        `now_s` is the chain's time; None asks for it.
        """
        if not await self._is_due(state, now_s):
            return
        key = f"expire:{state.job_id}:{state.digest.hex()[:16]}"
        try:
            await self._sender.send(self._network.node_calls.expire_job(state.job_id), key=key)
            await self._sender.wait(key)
        except DvllmError as error:  # such as a full disk: who waits for the job needs none
            log.info("job_not_expired", extra={"job_id": state.job_id, "reason": error.message})

    async def _is_due(self, state: JobState, now_s: int | None) -> bool:
        terms = await self._network.jobs.terms(state.version)
        clocks = self._network.clocks
        limits = JobClocks(terms.lease_s, terms.open_s, clocks.grace_s, clocks.max_attempts)
        job = JobModel(
            requester=state.requester,
            status=state.status,
            node=state.node,
            until_s=state.until_s,
            attempts=state.attempts,
            escrow_wei=state.escrow_wei,
        )
        if now_s is None:
            now_s = await self._network.jobs.chain_time_s()
        return can_expire(job, limits, now_s)
