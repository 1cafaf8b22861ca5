"""Ends that are no answer, answers that come another way, and what they cost."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.errors import (
    Conflict,
    Kind,
    NoCapacity,
    PromptTooLong,
    TaskFailed,
    TaskTimeout,
)
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord, TaskState
from tests.support.local_network import sending
from tests.support.task_network import ALICE, TaskGateway, request, task_gateway, where
from tests.support.worker_network import FIRST_WORKER, SECOND_WORKER, TERMS, WorkerNetwork
from tests.support.worker_process import WorkerProcess

WAIT_S = 180.0
SLOW = {"engine.null": {"n_tokens": 40, "token_interval_s": 0.1}}
LAPSE_S = TERMS.lease_s + 3
_HELD_ONCE = "no node answered in time: the job was held without an answer once"


async def duty(
    stack: AsyncExitStack,
    net: WorkerNetwork,
    account: LocalAccount,
    *,
    starts: bool = True,
    **settings: Mapping[str, Any],
) -> WorkerProcess:
    worker = stack.enter_context(net.worker(account, **settings))
    await net.enlist(worker)
    if starts:
        worker.start()
        await worker.on_duty()
    return worker


async def test_stream__holder_is_killed__another_node_goes_on_where_it_was(
    net: WorkerNetwork,
) -> None:
    async with AsyncExitStack() as stack:
        first = await duty(stack, net, FIRST_WORKER, **SLOW)
        second = await duty(stack, net, SECOND_WORKER, **SLOW)
        gateway = await stack.enter_async_context(task_gateway(where(net)))
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(
            ALICE, request("a b c", max_tokens=64, node=first.address)
        )
        pieces: list[str] = []
        async for item in gateway.service.stream(ALICE, task.id):
            if isinstance(item, StreamEnd):
                break
            pieces.append(item.text)
            if len(pieces) == 5:
                first.kill()
                await net.pass_time(LAPSE_S)
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert (done.state, done.worker) == (TaskState.COMPLETED, second.address)
    assert "".join(pieces) == done.response
    assert len(pieces) > 20


async def test_stream__next_node_answers_differently__fails_and_the_task_goes_on(
    net: WorkerNetwork,
) -> None:
    async with AsyncExitStack() as stack:
        first = await duty(stack, net, FIRST_WORKER, **SLOW)
        second = await duty(stack, net, SECOND_WORKER, **{"engine.null": {"n_tokens": 3}})
        gateway = await stack.enter_async_context(task_gateway(where(net)))
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(
            ALICE, request("a b c", max_tokens=64, node=first.address)
        )
        n_pieces = 0
        with pytest.raises(TaskFailed) as failure:
            async for _ in gateway.service.stream(ALICE, task.id):
                n_pieces += 1
                if n_pieces == 5:
                    first.kill()
                    await net.pass_time(LAPSE_S)
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert failure.value.task_created
    assert (done.state, done.worker, done.response) == (
        TaskState.COMPLETED,
        second.address,
        "a b c",
    )


async def test_stream__node_restarts__goes_on(net: WorkerNetwork) -> None:
    async with AsyncExitStack() as stack:
        worker = await duty(stack, net, FIRST_WORKER, **SLOW)
        gateway = await stack.enter_async_context(task_gateway(where(net)))
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request("a b c", max_tokens=64))
        pieces: list[str] = []
        async for item in gateway.service.stream(ALICE, task.id):
            if isinstance(item, StreamEnd):
                break
            pieces.append(item.text)
            if len(pieces) == 5:
                worker.kill()
                worker.start()
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert "".join(pieces) == done.response


async def test_stream__node_without_an_endpoint__answer_in_one_piece(net: WorkerNetwork) -> None:
    async with AsyncExitStack() as stack:
        worker = stack.enter_context(net.worker())
        await net.enlist(worker, endpoint="")
        worker.start()
        await worker.on_duty()
        gateway = await stack.enter_async_context(task_gateway(where(net)))
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request("one piece", max_tokens=4))
        items = [item async for item in gateway.service.stream(ALICE, task.id)]
    assert [item.text for item in items[:-1]] == ["one piece one piece"]  # type: ignore[union-attr]
    end = items[-1]
    assert isinstance(end, StreamEnd) and end.task.state is TaskState.COMPLETED


async def test_prompt_too_long_for_the_terms__refunded_and_free(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request("word " * 600))
        with pytest.raises(PromptTooLong, match="longer than"):
            async for _ in gateway.service.stream(ALICE, task.id):
                raise AssertionError("there is nothing to tell")
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
        balance = await gateway.accounts.balance(ALICE)
    assert done.state is TaskState.FAILED and done.failure is not None
    assert (done.failure.kind, done.cost_wei, done.response) == (Kind.PROMPT_TOO_LONG, 0, None)
    assert (balance.available_wei, balance.reserved_wei) == (tokens(10), 0)


async def test_nobody_answers__expired_refunded_and_free(net: WorkerNetwork) -> None:
    async with AsyncExitStack() as stack:
        await duty(stack, net, FIRST_WORKER, starts=False)
        gateway = await stack.enter_async_context(task_gateway(where(net)))
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request())
        held = await gateway.service.wait_submitted(ALICE, task.id, WAIT_S)
        with pytest.raises(TaskTimeout) as timeout:
            await gateway.service.wait_over(ALICE, task.id, 0.1)
        await net.pass_time(LAPSE_S + TERMS.open_s + 5)
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
        balance = await gateway.accounts.balance(ALICE)
    assert timeout.value.task_created
    assert done.failure is not None and done.failure.kind is Kind.NO_CAPACITY
    assert done.failure.message == _HELD_ONCE
    assert done.state is TaskState.FAILED
    assert balance.available_wei == tokens(10)
    assert held.job_id is not None
    assert (await net.state(held.job_id)).status is JobStatus.EXPIRED


async def test_node_is_busy_and_nobody_else_is_there__says_so(net: WorkerNetwork) -> None:
    async with AsyncExitStack() as stack:
        gateway, task = await handed_back(stack, net)
        await net.pass_time(TERMS.open_s + 5)
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert done.failure is not None
    assert done.failure.message.endswith("the job was handed back as busy once")


async def handed_back(stack: AsyncExitStack, net: WorkerNetwork) -> tuple[TaskGateway, TaskRecord]:
    """A task whose job the only node gave back."""
    worker = await duty(stack, net, FIRST_WORKER, starts=False)
    gateway = await stack.enter_async_context(task_gateway(where(net)))
    await gateway.grant(ALICE, tokens(10))
    task = await gateway.service.submit(ALICE, request())
    held = await gateway.service.wait_submitted(ALICE, task.id, WAIT_S)
    assert held.job_id is not None
    await hand_back(net, worker, held.job_id)
    return gateway, held


async def hand_back(net: WorkerNetwork, worker: WorkerProcess, job_id: JobId) -> None:
    async with sending(net.network, worker.account, net.folder) as sender:
        digest = (await net.network.coordinator.job(job_id)).digest
        call = net.network.node_calls.fail_job(job_id, FailureCode.BUSY, digest)
        await sender.send(call, key="hand back")
        await sender.wait("hand back")


async def test_no_node_serves_the_model__refused_at_once(net: WorkerNetwork) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        with pytest.raises(NoCapacity):
            await gateway.service.submit(ALICE, request())


async def test_cancel__job_is_open__taken_back(net: WorkerNetwork) -> None:
    async with AsyncExitStack() as stack:
        gateway, task = await handed_back(stack, net)
        assert task.job_id is not None
        record = await reaches(gateway, task.id, TaskState.PENDING)
        assert record.worker is None
        cancelled = await gateway.service.cancel(ALICE, task.id)
        balance = await gateway.accounts.balance(ALICE)
        with pytest.raises(Conflict):
            await gateway.service.cancel(ALICE, task.id)
    assert cancelled.state is TaskState.CANCELLED
    assert (cancelled.cost_wei, balance.available_wei) == (0, tokens(10))
    assert (await net.state(task.job_id)).status is JobStatus.CANCELLED


async def test_cancel__a_node_is_quicker_and_gives_it_back__taken_back_then(
    net: WorkerNetwork,
) -> None:
    async with AsyncExitStack() as stack:
        gateway, task = await handed_back(stack, net)
        second = await duty(stack, net, SECOND_WORKER, starts=False)
        assert task.job_id is not None
        await reaches(gateway, task.id, TaskState.PENDING)
        cancelling = await overtaken(net, gateway, task, second)
        assert (await cancelling).state is TaskState.RUNNING
        await hand_back(net, second, task.job_id)
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert (done.state, done.cost_wei) == (TaskState.CANCELLED, 0)


async def overtaken(
    net: WorkerNetwork, gateway: TaskGateway, task: TaskRecord, node: WorkerProcess
) -> asyncio.Task[TaskRecord]:
    """A cancellation that is mined in the block in which a node has just taken the job."""
    assert task.job_id is not None
    await net.anvil.acall("evm_setAutomine", False)
    cancelling = asyncio.create_task(gateway.service.cancel(ALICE, task.id))
    async with asyncio.timeout(WAIT_S):
        while not await pending(net):  # noqa: ASYNC110 - the chain sets no event
            await asyncio.sleep(0.02)
    call = net.network.node_calls.take_job(task.job_id)
    price = hex(10**12)
    await net.anvil.acall(
        "eth_sendTransaction",
        {
            "from": node.address,
            "to": call.to,
            "data": "0x" + call.data.hex(),
            "gas": hex(300_000),
            "maxFeePerGas": price,
            "maxPriorityFeePerGas": price,
        },
    )
    await net.anvil.acall("evm_mine")
    await net.anvil.acall("evm_setAutomine", True)
    return cancelling


async def pending(net: WorkerNetwork) -> int:
    return int((await net.anvil.acall("txpool_status"))["pending"], 16)


async def test_cancel__a_node_works_on_it__goes_on_and_keeps_the_answer(
    net: WorkerNetwork,
) -> None:
    async with AsyncExitStack() as stack:
        await duty(stack, net, FIRST_WORKER, **SLOW)
        gateway = await stack.enter_async_context(task_gateway(where(net)))
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request())
        await reaches(gateway, task.id, TaskState.RUNNING)
        cancelled = await gateway.service.cancel(ALICE, task.id)
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert cancelled.state is TaskState.RUNNING
    assert done.state is TaskState.COMPLETED and done.response


async def reaches(gateway: TaskGateway, task_id: TaskId, state: TaskState) -> Any:
    async with asyncio.timeout(WAIT_S):
        while True:
            record = await gateway.service.get(ALICE, task_id)
            if record.state is state and record.job_id is not None:
                return record
            await asyncio.sleep(0.02)
