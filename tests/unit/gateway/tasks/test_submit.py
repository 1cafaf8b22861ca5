"""Which tasks are taken on, what they reserve, and who may look at them."""

import asyncio

import pytest

from decentralized_vllm.protocol.ids import ModelId, Wei
from decentralized_vllm.protocol.prompts import PromptDocument
from dvllm_gateway.errors import (
    InsufficientBalance,
    InvalidRequest,
    NotFound,
    RateLimited,
    TaskTimeout,
)
from dvllm_gateway.ids import AccountId, new_task_id
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_market import Quote
from dvllm_gateway.services.tasks import TaskFilter, TaskRequest, TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.scripted_market import ESCROW_WEI, ScriptedMarket, delivered_job
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, running

BOB = AccountId("bob")
REQUEST = TaskRequest(ModelId("tiny"), PromptDocument(prompt="hello"), "hello")


async def test_submit__reserves_and_returns_before_anything_is_sent(
    desk: Desk, store: MemoryTaskStore
) -> None:
    record = await desk.submit()
    assert (record.state, record.job_id, record.reserved_wei) == (
        TaskState.PENDING,
        None,
        ESCROW_WEI,
    )
    assert store.balances[ALICE].reserved_wei == ESCROW_WEI
    assert desk.market.sent == {}


async def test_submit__no_credit__refused_and_not_counted(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market, limits=TaskLimits(live_per_account=1)) as desk:
        with pytest.raises(InsufficientBalance):
            await desk.service.submit(BOB, REQUEST)
        store.grant(BOB, ESCROW_WEI)
        await desk.service.submit(BOB, REQUEST)


async def test_submit__too_many_at_once__refused_until_one_is_over(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market, limits=TaskLimits(live_per_account=2)) as desk:
        task_id, watch = await desk.submitted()
        await desk.submit()
        with pytest.raises(RateLimited):
            await desk.submit()
        watch.set(delivered_job())
        await desk.over(task_id)
        await desk.submit()


async def test_submit__a_hundred_at_once__never_more_than_the_credit(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market, limits=TaskLimits(live_per_account=100)) as desk:
        results = await asyncio.gather(*(desk.submit() for _ in range(100)), return_exceptions=True)
        refused = [error for error in results if isinstance(error, InsufficientBalance)]
    assert len(refused) == 100 - GRANT_WEI // ESCROW_WEI
    assert store.balances[ALICE].available_wei == 0


async def test_reads__of_somebody_else__not_found(desk: Desk) -> None:
    record = await desk.submit()
    for call in (
        desk.service.get(BOB, record.id),
        desk.service.wait_over(BOB, record.id, 1),
        desk.service.cancel(BOB, record.id),
        desk.service.get(ALICE, new_task_id()),
    ):
        with pytest.raises(NotFound):
            await call
    assert (await desk.service.list(BOB, TaskFilter())).total == 0


async def test_get__ended_task__needs_no_database(desk: Desk, store: MemoryTaskStore) -> None:
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    done = await desk.over(task_id)
    store._tasks.clear()
    assert await desk.service.get(ALICE, task_id) == done


async def test_wait__time_is_up__tells_that_the_task_goes_on(desk: Desk) -> None:
    task_id, _ = await desk.submitted()
    assert (await desk.service.wait_submitted(ALICE, task_id, 0.01)).job_id is None
    with pytest.raises(TaskTimeout) as timeout:
        await desk.service.wait_over(ALICE, task_id, 0.01)
    assert timeout.value.task_created


async def test_submit__id_that_runs__is_that_task_and_reserved_once(
    desk: Desk, store: MemoryTaskStore
) -> None:
    first = await desk.submit()
    again = await desk.submit(task_id=first.id)
    assert again.id == first.id
    assert store.balances[ALICE].reserved_wei == ESCROW_WEI


async def test_submit__id_that_another_process_was_quicker_with__is_that_task(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market) as desk:
        task_id, watch = await desk.submitted()
        watch.set(delivered_job())
        ended = await desk.over(task_id)
    before = store.balances[ALICE]
    async with running(store, ScriptedMarket()) as desk:
        assert await desk.submit(task_id=task_id) == ended
        assert desk.market.sent == {}
    assert store.balances[ALICE] == before


async def test_submit__id_of_somebody_else_s_task__is_not_found(
    desk: Desk, store: MemoryTaskStore
) -> None:
    store.grant(BOB, GRANT_WEI)
    record = await desk.submit()
    with pytest.raises(NotFound):
        await desk.submit(task_id=record.id, account=BOB)
    assert store.balances[BOB].reserved_wei == 0


async def test_submit_all__covered__each_is_made_and_sent(
    desk: Desk, store: MemoryTaskStore
) -> None:
    ids = [new_task_id() for _ in range(3)]
    made = await desk.service.submit_all(ALICE, [REQUEST] * 3, task_ids=ids)
    assert [record.id for record in made] == ids
    assert store.balances[ALICE].reserved_wei == 3 * ESCROW_WEI
    for task_id in ids:
        (await desk.market.watch_of(task_id)).set(delivered_job())
        assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_submit_all__between_the_quotes__others_are_served(store: MemoryTaskStore) -> None:
    """A quote writes and hashes its whole document, which may be a megabyte."""
    seen: list[str] = []

    class WatchedMarket(ScriptedMarket):
        async def quote(self, request: TaskRequest) -> Quote:
            seen.append("quote")
            asyncio.get_running_loop().call_soon(seen.append, "somebody else")
            return await super().quote(request)

    async with running(store, WatchedMarket()) as desk:
        await desk.service.submit_all(ALICE, [REQUEST] * 3)
    assert seen == ["quote", "somebody else"] * 3


async def test_submit_all__credit_for_some_of_them__none_is_made(
    desk: Desk, store: MemoryTaskStore
) -> None:
    store.grant(BOB, Wei(3 * ESCROW_WEI - 1))
    before = store.balances[BOB]
    with pytest.raises(InsufficientBalance) as refused:
        await desk.service.submit_all(BOB, [REQUEST] * 3)
    assert refused.value.required_wei == 3 * ESCROW_WEI
    assert store.balances[BOB] == before
    assert desk.market.sent == {}
    await desk.service.submit_all(BOB, [REQUEST] * 2)  # and they count as none


async def test_submit_all__room_for_some_of_them__none_is_made(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market, limits=TaskLimits(live_per_account=3)) as desk:
        await desk.submitted()
        with pytest.raises(RateLimited, match="1 tasks of yours run already, of 3"):
            await desk.service.submit_all(ALICE, [REQUEST] * 3)
        with pytest.raises(InvalidRequest, match="4 tasks at once"):
            await desk.service.submit_all(ALICE, [REQUEST] * 4)
        assert store.balances[ALICE].reserved_wei == ESCROW_WEI
        assert len(desk.market.sent) == 1


async def test_submit_all__ids_that_run__are_those_tasks(
    desk: Desk, store: MemoryTaskStore
) -> None:
    ids = [new_task_id() for _ in range(2)]
    made = await desk.service.submit_all(ALICE, [REQUEST] * 2, task_ids=ids)
    again = await desk.service.submit_all(ALICE, [REQUEST] * 2, task_ids=ids)
    assert [record.id for record in again] == [record.id for record in made]
    assert store.balances[ALICE].reserved_wei == 2 * ESCROW_WEI
