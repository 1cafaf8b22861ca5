"""The task service over a scripted market and stores in memory, running."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import ModelId, Wei
from decentralized_vllm.protocol.prompts import chat_prompt
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.event_bus import Bus
from dvllm_gateway.services.events import Event
from dvllm_gateway.services.live_tasks import LiveTasks
from dvllm_gateway.services.task_crew import TaskCrew
from dvllm_gateway.services.task_jobs import JobWatch
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_runner import TaskPatience
from dvllm_gateway.services.task_service import TaskService
from dvllm_gateway.services.tasks import TaskRecord, TaskRequest
from dvllm_gateway.state.memory import MemoryEventStore, MemoryLeaseStore, MemoryTaskStore
from tests.support.scripted_market import SENDER, ScriptedMarket

ALICE = AccountId("alice")
GRANT_WEI = Wei(10_000)


@dataclass
class Desk:
    """Everything a test looks at."""

    service: TaskService
    crew: TaskCrew
    market: ScriptedMarket
    store: MemoryTaskStore
    bus: Bus
    events: MemoryEventStore

    async def submit(
        self,
        text: str = "hello",
        *,
        max_tokens: int = 10,
        task_id: TaskId | None = None,
        account: AccountId = ALICE,
    ) -> TaskRecord:
        document = chat_prompt(text, SamplingParameters(max_tokens=max_tokens))
        request = TaskRequest(ModelId("tiny"), document, text)
        return await self.service.submit(account, request, task_id=task_id)

    async def submitted(self) -> tuple[TaskId, JobWatch]:
        record = await self.submit()
        return record.id, await self.market.watch_of(record.id)

    async def over(self, task_id: TaskId) -> TaskRecord:
        return await self.service.wait_over(ALICE, task_id, 10)

    async def told(self) -> list[Event]:
        return list(await self.events.read(after=0, limit=1000))


@asynccontextmanager
async def running(
    store: MemoryTaskStore,
    market: ScriptedMarket,
    *,
    leases: MemoryLeaseStore | None = None,
    limits: TaskLimits | None = None,
    patience: TaskPatience | None = None,
) -> AsyncIterator[Desk]:
    events = MemoryEventStore()
    bus, live = Bus(events), LiveTasks()
    crew = TaskCrew(
        SENDER, market.open, live, store, leases or MemoryLeaseStore(), bus, patience, lease_s=0.5
    )
    service = TaskService(store, live, crew, limits)
    async with asyncio.TaskGroup() as group:
        loops = [group.create_task(bus.run()), group.create_task(crew.run())]
        await crew.on_duty()
        yield Desk(service, crew, market, store, bus, events)
        for loop in loops:
            loop.cancel()


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while True:
            outcome = holds()
            if outcome if isinstance(outcome, bool) else await outcome:
                return
            await asyncio.sleep(0)
