"""Everybody who listens on this dialect's sockets, told of each event in one pass."""

import asyncio
import logging
from typing import Protocol

from dvllm_gateway.dialects.dvllm.events import Frames, frames_of
from dvllm_gateway.errors import GatewayError, SubscriberTooSlow
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.events import Event
from dvllm_gateway.services.ports import EventBus

log = logging.getLogger(__name__)

# Sent without a pause; then the loop gets to its other work.
BURST = 200
RETRY_S = 1.0


class Listener(Protocol):
    @property
    def account(self) -> AccountId | None: ...

    def hear(self, event: Event, frames: Frames) -> None: ...

    @property
    def key(self) -> str | None:
        """The API key it logged in with."""

    def expel(self) -> None:
        """That key is no more."""


class Audience:
    """`run` must run for its members to hear anything."""

    def __init__(self) -> None:
        self._members: set[Listener] = set()

    def join(self, listener: Listener) -> None:
        self._members.add(listener)

    def leave(self, listener: Listener) -> None:
        self._members.discard(listener)

    @property
    def members(self) -> tuple[Listener, ...]:
        return tuple(self._members)

    async def run(self, events: EventBus) -> None:
        """Until cancelled. Events lost in between are hints: who needs them all replays."""
        while True:
            try:
                async for event in events.subscribe():
                    await self.tell(event)
            except SubscriberTooSlow:
                log.error("events were dropped: the sockets could not be written to in time")
            except GatewayError as error:
                log.warning("sockets wait for events: %s", error.message)
                await asyncio.sleep(RETRY_S)

    async def tell(self, event: Event) -> None:
        frames = frames_of(event) if self._members else None
        if frames is None:
            return
        for number, member in enumerate(self.members, start=1):
            member.hear(event, frames)
            if number % BURST == 0:
                await asyncio.sleep(0)
