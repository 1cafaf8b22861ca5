"""A task: one prompt of one account, from the request to the answer or the refund."""

from dataclasses import dataclass
from enum import StrEnum

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, TxHash, Wei
from decentralized_vllm.protocol.prompts import PromptDocument
from dvllm_gateway.errors import Kind
from dvllm_gateway.ids import AccountId, TaskId

NOTHING_WEI = Wei(0)


class TaskState(StrEnum):
    PENDING = "pending"  # reserved, perhaps on chain, held by no node
    RUNNING = "running"  # a node holds the lease
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (TaskState.PENDING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """`shown_prompt` is what the account sees as its prompt when it reads the task again.

    `max_fee_wei` is the highest price of a job the caller accepts; None accepts the present one.
    `node` names a node to hold the lease; None lets the chain draw.
    """

    model_id: ModelId
    document: PromptDocument
    shown_prompt: str
    max_fee_wei: Wei | None = None
    node: Address | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task ended without an answer, in words its owner may read."""

    kind: Kind
    message: str


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as the gateway knows it. Times are Unix milliseconds; amounts are wei.

    `reserved_wei` is held of the account's credit while the task is not over, `cost_wei` is what it
    paid in the end: 0 for anything but a completed task. `receipt` is the node's signature.
    """

    id: TaskId
    account: AccountId
    model_id: ModelId
    prompt: str
    prompt_cid: Cid
    max_tokens: int
    state: TaskState
    created_at_ms: int
    reserved_wei: Wei
    job_id: JobId | None = None
    request_tx: TxHash | None = None
    submitted_at_ms: int | None = None
    started_at_ms: int | None = None
    worker: Address | None = None
    completed_at_ms: int | None = None
    response: str | None = None
    response_cid: Cid | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    receipt: str | None = None
    cost_wei: Wei = NOTHING_WEI
    failure: Failure | None = None

    @property
    def total_time_s(self) -> float | None:
        if self.completed_at_ms is None:
            return None
        return (self.completed_at_ms - self.created_at_ms) / 1000


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """`states` empty means all; `since_ms` compares with the creation."""

    limit: int = 20
    states: frozenset[TaskState] = frozenset()
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """`total` counts what the filter matches, not what the page holds."""

    tasks: tuple[TaskRecord, ...]
    total: int


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A piece of a running answer, as the leased node tells it."""

    text: str
    n_tokens: int


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The last item of a stream: the answer's verified facts, before or after its delivery."""

    finish_reason: FinishReason
    usage: Usage
    task: TaskRecord
