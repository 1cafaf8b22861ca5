"""Wishes to end a task early: before it is sent, while it is open, while a node works on it."""

import asyncio
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.jobs import JobStatus
from dvllm_gateway.errors import Conflict, NetworkUnavailable
from dvllm_gateway.services.tasks import TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.scripted_market import ScriptedMarket, leased_job, open_job
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, eventually, running


async def test_cancel__not_sent_yet__cancelled_and_never_sent(
    desk: Desk, store: MemoryTaskStore
) -> None:
    desk.market.refusals.extend(NetworkUnavailable("chain") for _ in range(3))
    record = await desk.submit()
    cancelled = await desk.service.cancel(ALICE, record.id)
    assert cancelled.state is TaskState.CANCELLED
    assert desk.market.sent == {}
    assert store.balances[ALICE].available_wei == GRANT_WEI
    with pytest.raises(Conflict):
        await desk.service.cancel(ALICE, record.id)


async def test_cancel__open_job__asked_of_the_chain_which_has_the_last_word(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(open_job())
    await desk.service.wait_submitted(ALICE, task_id, 10)
    cancelling = asyncio.create_task(desk.service.cancel(ALICE, task_id))
    await eventually(lambda: desk.market.cancelled == [1])
    assert not cancelling.done()
    watch.set(replace(open_job(), status=JobStatus.CANCELLED))
    assert (await cancelling).state is TaskState.CANCELLED


async def test_cancel__leased_job__runs_on_and_is_taken_back_when_it_opens(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(leased_job())
    await desk.service.wait_submitted(ALICE, task_id, 10)
    assert (await desk.service.cancel(ALICE, task_id)).state is TaskState.RUNNING
    assert desk.market.cancelled == []
    watch.set(open_job())
    await eventually(lambda: desk.market.cancelled == [1])


async def test_cancel__leased_job__is_taken_back_when_it_opens_after_a_restart(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    async with running(store, market) as desk:
        task_id, watch = await desk.submitted()
        watch.set(leased_job())
        await desk.service.wait_submitted(ALICE, task_id, 10)
        await desk.service.cancel(ALICE, task_id)
    again = ScriptedMarket()
    again.sent.update(market.sent)
    async with running(store, again):
        watch = await again.watch_of(task_id)
        watch.set(leased_job())
        watch.set(open_job())
        await eventually(lambda: again.cancelled == [1])
