"""What an event tells, as JSON in its row; a task's event only names the task."""

from typing import Any

from pydantic import TypeAdapter

from dvllm_gateway.services.events import (
    EarningsChanged,
    EventName,
    ModelRegistered,
    NodeChanged,
    Payload,
    Progress,
)
from dvllm_gateway.services.resources import Shares
from dvllm_gateway.services.tasks import TaskRecord

_KINDS: dict[EventName, TypeAdapter[Any]] = {
    EventName.TASK_PROGRESS: TypeAdapter(Progress),
    EventName.NODE_CHANGED: TypeAdapter(NodeChanged),
    EventName.MODEL_REGISTERED: TypeAdapter(ModelRegistered),
    EventName.RESOURCES_CHANGED: TypeAdapter(Shares),
    EventName.EARNINGS_CHANGED: TypeAdapter(EarningsChanged),
}


def payload_values(name: EventName, payload: Payload) -> dict[str, str | None]:
    if isinstance(payload, TaskRecord):
        return {"task_id": payload.id, "payload": None}
    return {"task_id": None, "payload": _KINDS[name].dump_json(payload).decode()}


def read_payload(name: EventName, text: str) -> Payload:
    payload: Payload = _KINDS[name].validate_json(text)
    return payload
