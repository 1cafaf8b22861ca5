"""Submit: deliver a published answer, or hand a job back, through the one sender of the key."""

from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import TxHash
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.ports import JobCalls, TransactionSender
from decentralized_vllm.protocol.transactions import Receipt
from dvllm_worker.pipeline.results import AdmittedJob, PublishedResult, SubmittedResult
from dvllm_worker.pipeline.rows import JobRow


class Submit:
    """One lease sends one answer or one failJob: its keys carry the attempt."""

    def __init__(self, calls: JobCalls, sender: TransactionSender) -> None:
        self._calls = calls
        self._sender = sender

    async def deliver(self, result: PublishedResult) -> SubmittedResult:
        """Raises ContractRevert, InsufficientGas, ChainUnavailable."""
        job = result.job
        call = self._calls.submit_response(
            job.key.job_id, result.response_cid, job.key.digest, billed(job, result.usage)
        )
        tx_hash = await self._sender.send(
            call, key=delivery_key(job.row), deadline_s=job.deadline_s
        )
        return SubmittedResult(job, result.response_cid, tx_hash)

    async def confirm_delivery(self, row: JobRow) -> Receipt:
        """Raises ContractRevert, TransactionFailed."""
        return await self._sender.wait(delivery_key(row))

    async def hand_back(self, job: AdmittedJob, code: FailureCode) -> TxHash:
        """Raises ContractRevert, InsufficientGas, ChainUnavailable."""
        call = self._calls.fail_job(job.key.job_id, code, job.key.digest)
        return await self._sender.send(call, key=hand_back_key(job.row), deadline_s=job.deadline_s)

    async def confirm_hand_back(self, row: JobRow) -> Receipt:
        """Raises ContractRevert, TransactionFailed."""
        return await self._sender.wait(hand_back_key(row))


def billed(job: AdmittedJob, usage: Usage) -> Usage | None:
    """A flat price needs no counts on chain, and the shorter call costs less gas."""
    return None if job.terms.is_flat else usage


def delivery_key(row: JobRow) -> str:
    return row.key.idempotency_key(f"respond:{row.attempt}")


def hand_back_key(row: JobRow) -> str:
    return row.key.idempotency_key(f"fail:{row.attempt}")
