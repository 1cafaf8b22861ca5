"""Reads from chain and logs what a job's story is told from."""

from dataclasses import dataclass

from decentralized_vllm.chain.network import Network as ChainNetwork
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.events import (
    InferenceCompleted,
    InferenceRequested,
    JobEvent,
    JobExpired,
    JobHandedBack,
    JobLeased,
    NoShow,
)
from decentralized_vllm.protocol.ids import Address, JobId, TxHash
from dvllm_devnet.accounts import Cast
from dvllm_devnet.demo.report import Transaction
from dvllm_devnet.demo.stages import StageTimes, read_stage_times
from dvllm_devnet.processes import wait_until_ready
from dvllm_devnet.worker_process import WorkerProcess
from dvllm_worker.pipeline.stages import Stage

_LOG_TIMEOUT_S = 20.0
_WHAT = {
    InferenceRequested: "request",
    JobLeased: "takeover",
    JobHandedBack: "hand-back",
    InferenceCompleted: "delivery",
    JobExpired: "expiry",
}


@dataclass(frozen=True, slots=True)
class Observer:
    network: ChainNetwork
    cast: Cast
    workers: tuple[WorkerProcess, ...]

    def name_of(self, address: str) -> str:
        return next((a.name for a in self.cast.all if a.address == address), address)

    def worker_of(self, address: Address) -> WorkerProcess:
        return next(w for w in self.workers if w.plan.account.address == address)

    async def transactions(self, job_id: JobId) -> tuple[Transaction, ...]:
        """Those that changed the job, in order, each named by the first of its events."""
        named: dict[TxHash, str] = {}
        for event in await self.network.jobs.events(job_id):
            if type(event) in _WHAT:
                named.setdefault(event.position.tx_hash, _WHAT[type(event)])
        return tuple([await self.transaction(what, tx) for tx, what in named.items()])

    async def transaction(self, what: str, tx_hash: TxHash) -> Transaction:
        """Raises ChainUnavailable for one that is not mined."""
        receipt = await self.network.rpc.call("eth_getTransactionReceipt", tx_hash)
        if receipt is None:
            raise ChainUnavailable(f"the chain does not know transaction {tx_hash}")
        sender = next(
            (a.name for a in self.cast.all if a.address.lower() == receipt["from"].lower()),
            receipt["from"],
        )
        return Transaction(what, sender, tx_hash, int(receipt["gasUsed"], 16))

    async def penalty_wei(self, job_id: JobId) -> int:
        """What nodes lost of their stake because they did not answer."""
        events: list[JobEvent] = list(await self.network.jobs.events(job_id))
        return sum(event.penalty_wei for event in events if isinstance(event, NoShow))

    async def stage_times(self, worker: WorkerProcess, job_id: JobId) -> StageTimes:
        """When the worker has written that its delivery is confirmed, which takes a block more.

        Raises ProcessFailed when it does not.
        """

        async def is_told() -> bool:
            return Stage.FINAL in read_stage_times(worker.child.log, job_id)

        await wait_until_ready(worker.child, is_told, _LOG_TIMEOUT_S)
        return read_stage_times(worker.child.log, job_id)
