"""What happens, told once to whoever listens. Events are hints: after a gap, read the task."""

from dataclasses import dataclass
from enum import StrEnum

from decentralized_vllm.protocol.ids import Address, ModelId, Wei
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.resources import Shares
from dvllm_gateway.services.tasks import TaskRecord


class EventName(StrEnum):
    TASK_SUBMITTED = "task_submitted"  # its job is on chain
    TASK_STARTED = "task_started"  # a node holds it
    TASK_PROGRESS = "task_progress"
    TASK_COMPLETED = "task_completed"
    TASK_FAILED = "task_failed"  # or cancelled
    NODE_CHANGED = "node_changed"
    MODEL_REGISTERED = "model_registered"
    RESOURCES_CHANGED = "resources_changed"
    EARNINGS_CHANGED = "earnings_changed"


@dataclass(frozen=True, slots=True)
class Progress:
    """`percentage` is of the tokens asked for, never falls, and is 100 only when completed."""

    task_id: TaskId
    percentage: float
    n_tokens: int


@dataclass(frozen=True, slots=True)
class ModelRegistered:
    model_id: ModelId


@dataclass(frozen=True, slots=True)
class NodeChanged:
    operator: Address
    status: str  # "online", "offline", "busy"


@dataclass(frozen=True, slots=True)
class EarningsChanged:
    total_wei: Wei


Payload = TaskRecord | Progress | ModelRegistered | NodeChanged | EarningsChanged | Shares


@dataclass(frozen=True, slots=True)
class Event:
    """`cursor` grows by each event of the gateway; `account` owns it, None for public ones."""

    cursor: int
    name: EventName
    at_ms: int
    payload: Payload
    account: AccountId | None = None
