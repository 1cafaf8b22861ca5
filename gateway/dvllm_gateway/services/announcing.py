"""How services tell what happened, without knowing who listens."""

from typing import Protocol

from dvllm_gateway.services.events import EventName, Payload


class Announce(Protocol):
    async def __call__(self, name: EventName, payload: Payload) -> None:
        """A public event. Raises GatewayError."""
