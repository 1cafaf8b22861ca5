"""From a request to a verified answer and its price, on real parts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.escrow import price_of_usage
from decentralized_vllm.protocol.ids import ModelId, Wei
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.errors import (
    InsufficientBalance,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    RateLimited,
)
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.events import Event, EventName
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.tasks import StreamEnd, TaskState
from tests.support.task_network import ALICE, BOB, TaskGateway, request, task_gateway, where
from tests.support.worker_network import TERMS, WorkerNetwork
from tests.support.worker_process import WorkerProcess

WAIT_S = 180.0


async def test_submit__happy_path__answer_price_and_ledger(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    await net.mine_every_second()
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(100))
        heard = gateway.bus.subscribe()
        submitted = await gateway.service.submit(ALICE, request())
        assert submitted.state is TaskState.PENDING
        on_chain = await gateway.service.wait_submitted(ALICE, submitted.id, WAIT_S)
        done = await gateway.service.wait_over(ALICE, submitted.id, WAIT_S)
        names = await names_until_the_end(heard)
        balance = await gateway.accounts.balance(ALICE)

    assert done.state is TaskState.COMPLETED
    assert done.response == "How do leases work? How do leases work?"
    assert done.usage is not None and done.usage.n_output_tokens == 8
    assert done.cost_wei == price_of_usage(TERMS, done.usage, done.reserved_wei) > 0
    assert (done.worker, done.job_id) == (worker.address, on_chain.job_id)
    assert balance.available_wei == tokens(100) - done.cost_wei and balance.reserved_wei == 0
    answer = await net.answer(done.job_id)  # type: ignore[arg-type]
    assert (answer.text, "0x" + answer.signature.hex()) == (done.response, done.receipt)
    assert names == [
        EventName.TASK_SUBMITTED,
        EventName.TASK_STARTED,
        EventName.TASK_PROGRESS,
        EventName.TASK_COMPLETED,
    ]


async def names_until_the_end(heard: AsyncIterator[Event]) -> list[EventName]:
    """Without repetitions."""
    names: list[EventName] = []
    async for event in heard:
        if event.name not in names:
            names.append(event.name)
        if event.name is EventName.TASK_COMPLETED:
            break
    return names


async def test_submit__a_hundred_at_once__each_its_own_answer(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    await net.mine_every_second()
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(100))
        service = gateway.service
        submitted = await asyncio.gather(
            *(service.submit(ALICE, request(f"word{n}", max_tokens=2)) for n in range(100))
        )
        done = await asyncio.gather(
            *(service.wait_over(ALICE, record.id, WAIT_S) for record in submitted)
        )
        balance = await gateway.accounts.balance(ALICE)
    assert [record.response for record in done] == [f"word{n} word{n}" for n in range(100)]
    assert len({record.job_id for record in done}) == 100
    assert balance.reserved_wei == 0
    assert balance.available_wei == tokens(100) - sum(record.cost_wei for record in done)


async def test_submit__the_same_prompt_twice__two_jobs(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(100))
        first, second = [await gateway.service.submit(ALICE, request()) for _ in range(2)]
        ends = [await gateway.service.wait_over(ALICE, r.id, WAIT_S) for r in (first, second)]
    assert ends[0].job_id != ends[1].job_id
    assert ends[0].prompt_cid == ends[1].prompt_cid


async def test_submit__what_can_not_be_served__refused_and_nothing_reserved(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    limits = TaskLimits(live_per_account=1)
    async with task_gateway(where(net), limits=limits) as gateway:
        service = gateway.service
        with pytest.raises(InsufficientBalance):
            await service.submit(ALICE, request())
        await gateway.grant(ALICE, tokens(10))
        with pytest.raises(ModelNotFound):
            await service.submit(ALICE, replace(request(), model_id=ModelId("nobody's")))
        with pytest.raises(InvalidRequest, match="max_tokens"):
            await service.submit(ALICE, request(max_tokens=TERMS.max_output_tokens + 1))
        with pytest.raises(InvalidRequest) as refusal:
            await service.submit(ALICE, request(max_fee_wei=Wei(1)))
        assert refusal.value.field == "max_fee"
        assert (await gateway.accounts.balance(ALICE)).available_wei == tokens(10)
        await service.submit(ALICE, request())
        with pytest.raises(RateLimited):
            await service.submit(ALICE, request())


async def test_get__somebody_elses_task__not_found(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request())
        with pytest.raises(NotFound):
            await gateway.service.get(BOB, task.id)
        with pytest.raises(NotFound):
            await gateway.service.cancel(BOB, task.id)
        with pytest.raises(NotFound):
            await anext(aiter(gateway.service.stream(BOB, task.id)))
        await gateway.service.wait_over(ALICE, task.id, WAIT_S)


async def test_stream__text_is_the_final_answer_for_every_listener(net: WorkerNetwork) -> None:
    await net.mine_every_second()
    slow = {"engine.null": {"n_tokens": 40, "token_interval_s": 0.02}}
    with net.worker(**slow) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        async with task_gateway(where(net)) as gateway:
            await gateway.grant(ALICE, tokens(10))
            task = await gateway.service.submit(ALICE, request("a b c", max_tokens=64))
            heard = await asyncio.gather(*(listen(gateway, task.id) for _ in range(3)))
            done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
            late = await listen(gateway, task.id)
    assert [text for text, _, _ in heard] == [done.response] * 3
    assert late[0] == done.response
    _, end, n_pieces = heard[0]
    assert n_pieces > 10
    assert (end.usage, end.finish_reason) == (done.usage, done.finish_reason)
    assert (end.task.receipt, end.task.response_cid) == (done.receipt, done.response_cid)
    assert end.task.state is TaskState.RUNNING


async def listen(gateway: TaskGateway, task_id: TaskId) -> tuple[str, StreamEnd, int]:
    pieces: list[str] = []
    async for item in gateway.service.stream(ALICE, task_id):
        if isinstance(item, StreamEnd):
            return "".join(pieces), item, len(pieces)
        pieces.append(item.text)
    raise AssertionError("a stream without an end")
