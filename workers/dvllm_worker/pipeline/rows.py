"""What the journal keeps about one job."""

from dataclasses import dataclass

from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, TxHash
from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_worker.pipeline.stages import Stage


@dataclass(frozen=True, slots=True)
class JobKey:
    """Names one request. The digest tells apart two requests that a re-organisation gave one id."""

    chain_id: int
    coordinator: Address
    job_id: JobId
    digest: bytes

    def idempotency_key(self, step: str) -> str:
        """Names one transaction of this job for the sender."""
        digest = self.digest.hex()[:16]
        return f"{self.chain_id}:{self.coordinator}:{self.job_id}:{digest}:{step}"


@dataclass(frozen=True, slots=True, order=True)
class Marker:
    """Where in the chain the last event applied to a row stands; what comes again is older."""

    block_number: int
    log_index: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as this node knows it. `until_s` is chain time: the end of a lease or open time."""

    key: JobKey
    request: InferenceRequested
    stage: Stage
    until_s: int
    as_of: Marker
    response_cid: Cid | None = None
    usage: Usage | None = None
    tx_hash: TxHash | None = None
    failure: FailureCode | None = None
    reason: str = ""
    attempt: int = 0
    updated_s: float = 0.0  # Unix time, for people

    @property
    def job_id(self) -> JobId:
        return self.key.job_id

    @property
    def has_answer(self) -> bool:
        return self.response_cid is not None and self.usage is not None
