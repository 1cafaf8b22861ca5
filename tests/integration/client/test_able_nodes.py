"""Which node gets what not every engine does: real workers, asked over HTTP."""

import asyncio

import pytest

from decentralized_vllm import AsyncClient, NodesBusy, NotServed
from tests.support.anvil import running_anvil
from tests.support.local_network import sending
from tests.support.worker_network import FIRST_WORKER, MODEL_ID, SECOND_WORKER, worker_network

TOOLS = [{"type": "function", "function": {"name": "f"}}]
TRANSFORMERS = {"engine": {"kind": "transformers", "dtype": "float32", "slots": 4, "threads": 1}}
START_PATIENCE_S = 240.0


@pytest.fixture
async def net(tmp_path):
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path) as net:
            yield net


@pytest.fixture
async def client(net):
    async with AsyncClient.of(net.client_settings()) as client:
        yield client


async def on_duty(net, worker, **enlisted):
    await net.enlist(worker, **enlisted)
    worker.start()
    await worker.logged("on duty", patience_s=START_PATIENCE_S)


async def test_tools_and_vectors__some_nodes_can__only_these_are_asked(net, client):
    with (
        net.worker(FIRST_WORKER) as able,
        net.worker(SECOND_WORKER, **TRANSFORMERS, node={"slots": 4}) as other,
    ):
        await on_duty(net, other, slots=4)
        with pytest.raises(NotServed, match="no node of this model serves tools"):
            await client.submit_task("Hi there", MODEL_ID, tools=TOOLS)
        assert await net.network.coordinator.job_count() == 0
        await on_duty(net, able)
        await net.mine_every_second()
        tasks = await asyncio.gather(
            *(client.submit_task("Hi there", MODEL_ID, tools=TOOLS) for _ in range(4))
        )
        done = await client.wait_for_all(tasks, timeout=90)
        assert {task.worker for task in done} == {able.address}
        assert [call.name for task in done for call in task.tool_calls] == ["f"] * 4
        task = await client.submit_embeddings(["one", "two", "one"], MODEL_ID)
        first, second, third = (await client.wait_for_completion(task, timeout=90)).vectors
        assert first == third != second


async def test_tools__nodes_that_can_are_full__says_so_before_anything_is_paid(
    net, client, tmp_path
):
    with (
        net.worker(FIRST_WORKER) as able,
        net.worker(SECOND_WORKER) as silent,  # registered, and never started
    ):
        await net.enlist(silent)
        await on_duty(net, able)
        async with sending(net.network, able.account, tmp_path) as sender:
            await sender.send(net.network.node_registry.set_slots(0), key="full")
            await sender.wait("full")
        with pytest.raises(NodesBusy, match="have no room now"):
            await client.submit_task("Hi", MODEL_ID, tools=TOOLS)
    assert await net.network.coordinator.job_count() == 0
