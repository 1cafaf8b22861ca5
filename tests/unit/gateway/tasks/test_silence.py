"""Silent chains and stores: how long whoever submits or listens waits, and what is left of it."""

import asyncio

import pytest

from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.prompts import chat_prompt
from dvllm_gateway.errors import (
    GatewayError,
    NetworkUnavailable,
    RateLimited,
    TaskFailed,
    TaskTimeout,
    TransactionRejected,
)
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_market import Quote
from dvllm_gateway.services.task_runner import TaskPatience
from dvllm_gateway.services.tasks import StreamEnd, TaskFilter, TaskRequest, TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.scripted_market import ESCROW_WEI, ScriptedMarket, delivered_job
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, eventually, running

REQUEST = TaskRequest(ModelId("tiny"), chat_prompt("hello", SamplingParameters()), "hello")


class WaitingMarket(ScriptedMarket):
    """Tells no price before `may_tell`."""

    def __init__(self) -> None:
        super().__init__()
        self.n_asked = 0
        self.may_tell = asyncio.Event()

    async def quote(self, request: TaskRequest) -> Quote:
        self.n_asked += 1
        await self.may_tell.wait()
        return await super().quote(request)


async def test_submit__a_burst_while_the_price_is_asked_for__no_more_than_there_is_room_for(
    store: MemoryTaskStore,
) -> None:
    market = WaitingMarket()
    async with running(store, market, limits=TaskLimits(live_per_account=3)) as desk:
        burst = [asyncio.create_task(desk.submit()) for _ in range(5)]
        await eventually(lambda: market.n_asked == 5)
        market.may_tell.set()
        results = await asyncio.gather(*burst, return_exceptions=True)
    assert [type(result) for result in results].count(RateLimited) == 2
    assert store.balances[ALICE].available_wei == GRANT_WEI - 3 * ESCROW_WEI


@pytest.mark.parametrize("is_preview", [False, True])
async def test_submit__nobody_tells_the_price__unavailable_and_nothing_is_reserved(
    store: MemoryTaskStore, is_preview: bool
) -> None:
    market = WaitingMarket()
    async with running(store, market, limits=TaskLimits(quote_wait_s=0.05)) as desk:
        ask = desk.service.preview if is_preview else desk.service.submit
        async with asyncio.timeout(10):
            with pytest.raises(NetworkUnavailable) as error:
                await ask(ALICE, REQUEST)
        assert (await desk.service.list(ALICE, TaskFilter())).total == 0
    assert not error.value.task_created
    assert store.balances[ALICE].available_wei == GRANT_WEI
    assert market.sent == {}


async def heard(desk: Desk, task_id: TaskId) -> str:
    """The whole of an answer, by listening to it."""
    async with asyncio.timeout(10):
        items = [item async for item in desk.service.stream(ALICE, task_id)]
    return "".join(item.text for item in items if not isinstance(item, StreamEnd))


async def test_stream__task_can_not_be_sent__ends_naming_the_task_which_goes_on(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    market.is_silent = True
    async with running(store, market, limits=TaskLimits(unsent_s=0.05)) as desk:
        task = await desk.submit()
        for _ in range(2):  # who asks again meanwhile hears the same, and nothing is broken by it
            with pytest.raises(TaskTimeout, match="not sent") as late:
                await heard(desk, task.id)
        assert late.value.task_created and task.id in late.value.details
        market.is_silent = False
        watch = await market.watch_of(task.id)
        watch.set(delivered_job())
        assert (await desk.over(task.id)).state is TaskState.COMPLETED


async def test_stream__sent_and_not_mined_for_long__is_waited_for(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market, limits=TaskLimits(unsent_s=0.05)) as desk:
        task_id, watch = await desk.submitted()
        hearing = asyncio.create_task(heard(desk, task_id))
        await asyncio.sleep(0.2)
        watch.set(delivered_job())
        assert await hearing == "hi there"


@pytest.mark.parametrize(
    "refusal", [TransactionRejected("no"), NetworkUnavailable("the content store does not answer")]
)
async def test_stream__task_is_given_up_unsent__ends_with_it(
    store: MemoryTaskStore, market: ScriptedMarket, refusal: GatewayError
) -> None:
    market.refusals.append(refusal)
    async with running(store, market, patience=TaskPatience(submit_s=0.0)) as desk:
        task = await desk.submit()
        with pytest.raises(TaskFailed, match=refusal.message):
            await heard(desk, task.id)
