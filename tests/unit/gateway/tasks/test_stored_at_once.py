"""A task that is made durable together with its submission."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import InsufficientBalance, NetworkUnavailable
from dvllm_gateway.ids import new_task_id
from dvllm_gateway.services.stores import Along, Assignment
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_market import Order, Stored
from dvllm_gateway.services.tasks import TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.gateway_in_memory.tasks import task
from tests.support.scripted_market import (
    ESCROW_WEI,
    OTHER_NODE,
    ScriptedMarket,
    delivered_job,
)
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, running


@pytest.fixture
async def quick(store: MemoryTaskStore, market: ScriptedMarket) -> AsyncIterator[Desk]:
    market.stores_at_once = True
    async with running(store, market, limits=TaskLimits(live_per_account=100)) as desk:
        yield desk


class Forgetful(ScriptedMarket):
    """Its database keeps what it is given, or does not, and never says so."""

    keeps = True

    async def store_with(self, order: Order, along: Along) -> Stored | None:
        if self.keeps:
            along(None)
        raise NetworkUnavailable("the database went away")


async def test_submit__stored_at_once__runs_to_its_end(quick: Desk, store: MemoryTaskStore) -> None:
    task_id, watch = await quick.submitted()
    sent = quick.market.sent[task_id]
    assert sent.stored is not None and store.balances[ALICE].reserved_wei == ESCROW_WEI
    watch.set(delivered_job())
    assert (await quick.over(task_id)).state is TaskState.COMPLETED


async def test_submit__sending_breaks_off__looks_before_it_sends_again(quick: Desk) -> None:
    quick.market.refusals.append(NetworkUnavailable("the chain does not answer"))
    task_id, _ = await quick.submitted()
    again = quick.market.sent[task_id]
    assert (again.is_new, again.stored) == (False, None)


async def test_submit__a_hundred_at_once__never_more_than_the_credit(
    quick: Desk, store: MemoryTaskStore
) -> None:
    results = await asyncio.gather(*(quick.submit() for _ in range(100)), return_exceptions=True)
    refused = [error for error in results if isinstance(error, InsufficientBalance)]
    assert len(refused) == 100 - GRANT_WEI // ESCROW_WEI
    assert store.balances[ALICE].available_wei == 0


async def test_submit__database_does_not_say__goes_on_with_what_it_kept(
    store: MemoryTaskStore,
) -> None:
    market = Forgetful()
    async with running(store, market) as desk:
        task_id, watch = await desk.submitted()
        watch.set(delivered_job())
        assert (await desk.over(task_id)).state is TaskState.COMPLETED
    assert market.sent[task_id].is_new is False


async def test_submit__database_kept_nothing__told_and_nothing_reserved(
    store: MemoryTaskStore,
) -> None:
    market = Forgetful()
    market.keeps = False
    async with running(store, market, limits=TaskLimits(live_per_account=1)) as desk:
        for _ in range(2):  # the first counts no more
            with pytest.raises(NetworkUnavailable):
                await desk.submit()
    assert market.sent == {}
    assert store.balances[ALICE].reserved_wei == 0


@pytest.mark.parametrize("stores_at_once", [False, True])
async def test_submit__another_gateway_made_it_before__shown_and_not_sent_again(
    store: MemoryTaskStore, market: ScriptedMarket, stores_at_once: bool
) -> None:
    """It shares the database and pays with a key of its own: it alone knows what it has sent."""
    made = task(id=new_task_id(), account=ALICE, reserved_wei=ESCROW_WEI)
    await store.create(made, Assignment(OTHER_NODE, b"{}", Wei(1), 0, None))
    market.stores_at_once = stores_at_once
    async with running(store, market) as desk:
        assert await desk.submit(task_id=made.id) == made
        for _ in range(50):
            await asyncio.sleep(0)
    assert market.sent == {}
