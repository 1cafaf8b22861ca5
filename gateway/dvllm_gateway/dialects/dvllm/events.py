"""What happens in the core, as frames of this dialect: one full, one for everybody else.

Others see that a task is submitted, started, over; never its prompt, its response or its error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from decentralized_vllm.protocol.units import format_tokens
from dvllm_gateway.dialects.dvllm.rendering import TASK_PREFIX, failure_text, task_name
from dvllm_gateway.dialects.dvllm.wire import iso_time, job_number
from dvllm_gateway.services.events import EarningsChanged, Event, EventName, Progress
from dvllm_gateway.services.resources import Shares
from dvllm_gateway.services.tasks import TaskRecord

Data = Mapping[str, Any]

FRAME_TYPES: Mapping[EventName, str] = {
    EventName.TASK_SUBMITTED: "task_submitted",
    EventName.TASK_STARTED: "task_started",
    EventName.TASK_PROGRESS: "task_progress",
    EventName.TASK_COMPLETED: "task_completed",
    EventName.TASK_FAILED: "task_failed",
    EventName.RESOURCES_CHANGED: "resource_updated",
    EventName.EARNINGS_CHANGED: "earnings_update",
}
_PRIVATE = ("prompt", "response", "error")


@dataclass(frozen=True, slots=True)
class Frames:
    """`full` is for the owner, and for all where there is none; `redacted` None is for nobody."""

    type: str
    full: bytes
    redacted: bytes | None


def frames_of(event: Event) -> Frames | None:
    """None for what this dialect does not tell."""
    kind = FRAME_TYPES.get(event.name)
    data = _data(event)
    if kind is None or data is None:
        return None
    full = frame(kind, data, event.at_ms, cursor=event.cursor)
    if event.account is None:
        return Frames(kind, full, full)
    if event.name is EventName.TASK_PROGRESS:  # many, and of no use to others
        return Frames(kind, full, None)
    shown = {name: value for name, value in data.items() if name not in _PRIVATE}
    return Frames(kind, full, frame(kind, shown, event.at_ms, cursor=event.cursor))


def frame(kind: str, data: Data, at_ms: int, *, cursor: int | None = None) -> bytes:
    """`cursor` (ours) is what a client subscribes after when it comes back."""
    body: dict[str, Any] = {"type": kind, "data": data, "timestamp": iso_time(at_ms)}
    if cursor is not None:
        body["cursor"] = cursor
    return orjson.dumps(body)


def _data(event: Event) -> Data | None:
    match event.payload:
        case TaskRecord() as record:
            return _task_data(event.name, record)
        case Progress() as progress:
            return {
                "taskId": TASK_PREFIX + progress.task_id,
                "percentage": progress.percentage,
                "tokens": progress.n_tokens,
            }
        case Shares(cpu, memory, gpu, storage):
            return {"cpu": cpu, "memory": memory, "gpu": gpu, "storage": storage}
        case EarningsChanged(total_wei):
            return {"total": float(format_tokens(total_wei)), "totalWei": str(total_wei)}
        case _:
            return None


def _task_data(name: EventName, record: TaskRecord) -> Data:
    data: dict[str, Any] = {"taskId": task_name(record), "jobId": job_number(record.job_id)}
    if name is EventName.TASK_SUBMITTED:
        data |= {"prompt": record.prompt, "modelId": record.model_id}
    elif name is EventName.TASK_STARTED:
        data |= {"worker": record.worker}
    elif name is EventName.TASK_COMPLETED:
        data |= {
            "response": record.response,
            "worker": record.worker,
            "timing": {"totalTime": record.total_time_s},
        }
    else:
        data |= {"error": failure_text(record)}
    return data
