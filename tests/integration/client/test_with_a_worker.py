"""A requester whose store nobody can read, and a real worker: blocks and progress go directly."""

import asyncio

import pytest

from decentralized_vllm import AsyncClient
from tests.support.anvil import running_anvil
from tests.support.worker_network import (
    FIRST_WORKER,
    MODEL_ID,
    SECOND_WORKER,
    worker_network,
)

SLOW = {"engine.null": {"n_tokens": 40, "token_interval_s": 0.1}}


@pytest.fixture
async def net(tmp_path):
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path) as net:
            yield net


async def test_task__prompt_in_an_unreachable_store__reaches_the_worker_and_is_answered(
    net,
):
    with net.worker(**SLOW) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        await net.mine_every_second()
        async with AsyncClient.of(net.client_settings()) as client:
            percentages = asyncio.Queue()
            client.on("task_progress", lambda progress: percentages.put_nowait(progress))
            await client.start_monitoring()
            task = await client.submit_task("one two three", MODEL_ID, max_tokens=40)
            done = await client.wait_for_completion(task, timeout=60)
            told = [await asyncio.wait_for(percentages.get(), 60)]
            while told[-1].percentage < 100:
                told.append(await asyncio.wait_for(percentages.get(), 60))
    assert not await net.store.has_block(task.prompt_cid)
    assert done.response.startswith("one two three")
    assert done.worker == worker.address
    assert len(told) > 2
    assert [p.percentage for p in told] == sorted(p.percentage for p in told)
    assert told[-1].text == done.response


async def test_task__its_worker_dies__another_gets_the_blocks_and_answers(net):
    with (
        net.worker(FIRST_WORKER, **SLOW) as first,
        net.worker(SECOND_WORKER, **SLOW) as second,
    ):
        for worker in (first, second):
            await net.enlist(worker)
            worker.start()
            await worker.on_duty()
        await net.mine_every_second()
        async with AsyncClient.of(net.client_settings()) as client:
            task = await client.submit_task("one two three", MODEL_ID, max_tokens=40)
            killed, other = (first, second) if task.worker == first.address else (second, first)
            killed.kill()
            done = await client.wait_for_completion(task, timeout=90)
    assert done.workers == (killed.address, other.address)
    assert done.response.startswith("one two three")
    assert not await net.store.has_block(task.prompt_cid)
