"""A core without a network: what dialects are tried against, and what tests set on it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.events import Event, EventName, Payload
from dvllm_gateway.services.ports import (
    Core,
)
from tests.support.gateway_in_memory.accounts import (
    FreeLimits,
    MemoryAuth,
    MemoryCredit,
    MemoryIdempotency,
    MemoryKeys,
    MemoryTopUps,
)
from tests.support.gateway_in_memory.facts import NOON_MS
from tests.support.gateway_in_memory.network import MemoryModels, MemoryNetwork, MemoryResources
from tests.support.gateway_in_memory.tasks import MemoryTasks


class MemoryEvents:
    """Keeps all, and tells them to whoever subscribes."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        self._news = asyncio.Event()

    def tell(self, name: EventName, payload: Payload, account: AccountId | None = None) -> Event:
        event = Event(len(self.kept) + 1, name, NOON_MS, payload, account)
        self.kept.append(event)
        self._news.set()
        self._news = asyncio.Event()
        return event

    async def subscribe(self, *, after: int | None = None) -> AsyncIterator[Event]:
        at = len(self.kept) if after is None else after
        while True:
            while at < len(self.kept):
                at += 1
                yield self.kept[at - 1]
            await self._news.wait()


@dataclass
class MemoryCore:
    """The parts by themselves, and together as `core`."""

    tasks: MemoryTasks = field(default_factory=MemoryTasks)
    models: MemoryModels = field(default_factory=MemoryModels)
    resources: MemoryResources = field(default_factory=MemoryResources)
    keys: MemoryKeys = field(default_factory=MemoryKeys)
    events: MemoryEvents = field(default_factory=MemoryEvents)
    top_ups: MemoryTopUps = field(default_factory=MemoryTopUps)

    @property
    def core(self) -> Core:
        return Core(
            tasks=self.tasks,
            models=self.models,
            network=MemoryNetwork(),
            resources=self.resources,
            keys=self.keys,
            auth=MemoryAuth(self.keys),
            credit=MemoryCredit(),
            limits=FreeLimits(),
            events=self.events,
            idempotency=MemoryIdempotency(),
        )
