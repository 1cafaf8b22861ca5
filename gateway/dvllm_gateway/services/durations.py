"""How long tasks of a model really took of late, for who asks how long the next one will."""

import math
from collections import deque
from statistics import median

from decentralized_vllm.protocol.ids import ModelId
from dvllm_gateway.services.events import EventName
from dvllm_gateway.services.network import Model
from dvllm_gateway.services.ports import EventBus
from dvllm_gateway.services.tasks import TaskRecord

N_REMEMBERED = 50


class Durations:
    """`follow` learns from the events; without a finished task the model's lease is the bound."""

    def __init__(self) -> None:
        self._recent_s: dict[ModelId, deque[float]] = {}

    def estimate_s(self, model: Model) -> int | None:
        """Whole seconds, at least 1. None when nothing at all is known of the model."""
        recent = self._recent_s.get(model.id)
        if recent:
            return max(1, math.ceil(median(recent)))
        return model.terms.lease_s if model.terms is not None else None

    def note(self, record: TaskRecord) -> None:
        if record.total_time_s is None:
            return
        recent = self._recent_s.setdefault(record.model_id, deque(maxlen=N_REMEMBERED))
        recent.append(record.total_time_s)

    async def follow(self, events: EventBus) -> None:
        """Until cancelled."""
        async for event in events.subscribe():
            if event.name is EventName.TASK_COMPLETED and isinstance(event.payload, TaskRecord):
                self.note(event.payload)
