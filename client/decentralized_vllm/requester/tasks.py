"""What the library shows of a job: a task, and the models, nodes and balances around it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, TxHash, Wei
from decentralized_vllm.protocol.jobs import JobStatus

if TYPE_CHECKING:  # brings signatures along, which take half a second to import
    from decentralized_vllm.protocol.embeddings import Vector
    from decentralized_vllm.protocol.models import ModelInfo
    from decentralized_vllm.protocol.responses import ResponseDocument
    from decentralized_vllm.protocol.tools import ToolCall


class TaskStatus(StrEnum):
    PENDING = "pending"  # no node holds it yet, or no longer
    RUNNING = "running"  # a node holds the lease
    COMPLETED = "completed"
    FAILED = "failed"  # a node reported that prompt or model can not be used
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


STATUS_OF_JOB = {
    JobStatus.OPEN: TaskStatus.PENDING,
    JobStatus.LEASED: TaskStatus.RUNNING,
    JobStatus.DELIVERED: TaskStatus.COMPLETED,
    JobStatus.FAILED: TaskStatus.FAILED,
    JobStatus.EXPIRED: TaskStatus.EXPIRED,
    JobStatus.CANCELLED: TaskStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since 1970, by the timestamps of blocks; None for what has not happened yet."""

    submitted: int
    started: int | None = None
    completed: int | None = None

    @property
    def total_time(self) -> float | None:
        """Seconds from submission to the end, whichever end it was."""
        return None if self.completed is None else float(self.completed - self.submitted)


@dataclass(frozen=True, slots=True)
class Task:
    """A job as the chain told it last, and its verified answer once it is completed.

    `id` is the job's number on chain. Amounts are wei of the payment token. `workers` held a lease
    in this order; the last one answered, if the task is completed. `vectors` are those of an
    embedding's texts, in their order.
    """

    id: JobId
    model_id: ModelId
    model_cid: Cid
    prompt_cid: Cid
    requester: Address
    status: TaskStatus
    timing: Timing
    escrow_wei: Wei
    request_tx: TxHash
    workers: tuple[Address, ...] = ()
    response: str | None = None
    response_cid: Cid | None = None
    response_tx: TxHash | None = None
    price_wei: Wei | None = None
    refund_wei: Wei | None = None
    failure: str | None = None
    document: "ResponseDocument | None" = None
    vectors: "tuple[Vector, ...] | None" = None

    @property
    def worker(self) -> Address | None:
        return self.workers[-1] if self.workers else None

    @property
    def usage(self) -> Usage | None:
        return None if self.document is None else self.document.usage

    @property
    def finish_reason(self) -> FinishReason | None:
        return None if self.document is None else self.document.finish_reason

    @property
    def tool_calls(self) -> "tuple[ToolCall, ...]":
        """What the answer asks to have called: of the tools that were offered, and no others."""
        return () if self.document is None else self.document.tool_calls


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far a running task is. `percentage` is of the tokens asked for; 100 when completed."""

    id: JobId
    n_tokens: int
    percentage: float
    text: str


@dataclass(frozen=True, slots=True)
class Model:
    id: ModelId
    name: str
    description: str
    cid: Cid
    active: bool
    timestamp: int


def model_of(info: "ModelInfo") -> Model:
    return Model(
        id=info.model_id,
        name=info.name,
        description=info.description,
        cid=info.model_cid,
        active=info.is_active,
        timestamp=info.registered_at_s,
    )


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money: tokens in the coordinator and in the wallet, and ether for gas."""

    account: Address
    credit_wei: Wei
    wallet_wei: Wei
    gas_wei: Wei
