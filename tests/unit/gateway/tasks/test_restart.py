"""What becomes of tasks that nobody finished, and who may take them."""

import asyncio
from dataclasses import replace

import pytest

from dvllm_gateway.errors import NoCapacity
from dvllm_gateway.services.tasks import TaskState
from dvllm_gateway.state.memory import MemoryLeaseStore, MemoryTaskStore
from tests.support.scripted_market import ScriptedMarket, delivered_job, leased_job
from tests.support.task_desk import ALICE, eventually, running


async def test_restart__unfinished_tasks__go_on(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market) as desk:
        task_id, watch = await desk.submitted()
        watch.set(leased_job())
        await desk.service.wait_submitted(ALICE, task_id, 10)
    again = ScriptedMarket()
    async with running(store, again) as desk:
        record = await desk.service.get(ALICE, task_id)
        assert (record.state, record.job_id) == (TaskState.RUNNING, 1)
        watch = await again.watch_of(task_id)
        waiting = asyncio.create_task(desk.over(task_id))
        watch.set(delivered_job())
        assert (await waiting).state is TaskState.COMPLETED
    assert again.sent[task_id] == replace(market.sent[task_id], is_new=False)


async def test_key_is_held_elsewhere__no_tasks_are_taken_until_it_is_free(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    leases = MemoryLeaseStore()
    async with running(store, market, leases=leases) as first:
        record = await first.submit()
        standing_by = asyncio.create_task(_take_over(store, leases, record.id))
        await asyncio.sleep(0.2)
        assert not standing_by.done()
        (name,) = leases._holders
        leases._holders[name] = "nobody any more"  # lost to a third
        waiting = asyncio.create_task(first.service.wait_over(ALICE, record.id, 10))
        await eventually(lambda: not first.crew.is_on_duty)
        with pytest.raises(NoCapacity):
            await first.submit()
        await leases.release(name, "nobody any more")
        assert await standing_by == record.id
        assert (await waiting).state is TaskState.COMPLETED


async def _take_over(store: MemoryTaskStore, leases: MemoryLeaseStore, task_id: object) -> object:
    async with running(store, ScriptedMarket(), leases=leases) as second:
        watch = await second.market.watch_of(task_id)  # type: ignore[arg-type]
        watch.set(delivered_job())
        return (await second.over(task_id)).id  # type: ignore[arg-type]


class SilentLeases(MemoryLeaseStore):
    """Says nothing at all while it is silent, as a database behind a cut cable."""

    def __init__(self) -> None:
        super().__init__()
        self.speaks = asyncio.Event()
        self.speaks.set()

    async def acquire(self, name: str, holder: str, *, for_s: float) -> bool:
        await self.speaks.wait()
        return await super().acquire(name, holder, for_s=for_s)


async def test_lease_is_renewed_without_an_answer__no_tasks_are_taken_until_there_is_one(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    leases = SilentLeases()
    async with running(store, market, leases=leases) as desk:
        leases.speaks.clear()
        await eventually(lambda: not desk.crew.is_on_duty)
        with pytest.raises(NoCapacity):
            await desk.submit()
        leases.speaks.set()
        await desk.crew.on_duty()
        await desk.submitted()
