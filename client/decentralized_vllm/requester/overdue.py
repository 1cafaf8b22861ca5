"""Ends a job that nobody answered in time, so that its escrow comes back."""

import logging

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    ContractRevert,
    InsufficientGas,
    KeyInUse,
)
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.job_machine import JobClocks, JobModel, can_expire
from decentralized_vllm.protocol.jobs import JobState
from decentralized_vllm.protocol.ports import TransactionSender

log = logging.getLogger(__name__)


class OverdueJobs:
    """Calls expireJob when the chain's clock allows it; anyone else may have been faster."""

    def __init__(self, network: Network, sender: TransactionSender) -> None:
        self._network = network
        self._sender = sender
        self._expired: set[JobId] = set()

    async def expire_if_due(self, state: JobState) -> None:
        """Does nothing before its time. Failures are logged and tried again at the next call."""
        if state.job_id in self._expired or not await self._is_due(state):
            return
        key = f"expire:{state.job_id}:{state.digest.hex()[:16]}"
        try:
            await self._sender.send(self._network.node_calls.expire_job(state.job_id), key=key)
            await self._sender.wait(key)
            self._expired.add(state.job_id)
        except (ContractRevert, ChainUnavailable, InsufficientGas, KeyInUse) as error:
            log.info("job_not_expired", extra={"job_id": state.job_id, "reason": error.message})

    async def _is_due(self, state: JobState) -> bool:
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
        return can_expire(job, limits, await self._network.jobs.chain_time_s())
