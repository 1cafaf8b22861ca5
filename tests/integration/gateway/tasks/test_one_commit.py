"""Tasks whose submission is durable in one transaction with them, on real parts."""

import asyncio

import pytest

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.errors import InsufficientBalance
from dvllm_gateway.services.tasks import TaskRecord, TaskState
from tests.support.task_network import ALICE, BOB, TaskGateway, request, task_gateway, where
from tests.support.worker_network import WorkerNetwork
from tests.support.worker_process import WorkerProcess

WAIT_S = 180.0


@pytest.fixture(autouse=True)
def what_was_seen_stays_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr("dvllm_gateway.market.simulations.FRESH_S", 600.0)
    monkeypatch.setattr("decentralized_vllm.chain.sender.RECENT_S", 600.0)


async def first_task(gateway: TaskGateway) -> TaskRecord:
    """From then on it is known how submissions go."""
    await gateway.grant(ALICE, tokens(100))
    record = await gateway.service.submit(ALICE, request())
    return await gateway.service.wait_over(ALICE, record.id, WAIT_S)


async def test_submit__it_is_known_how_it_goes__submission_is_durable_with_the_task(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await first_task(gateway)
        for _ in range(3):
            record = await gateway.service.submit(ALICE, request())
            assert await gateway.crew.market().is_submitted(record.id)
            done = await gateway.service.wait_over(ALICE, record.id, WAIT_S)
            assert done.state is TaskState.COMPLETED
        balance = await gateway.accounts.balance(ALICE)
    assert await net.network.coordinator.job_count() == 4
    assert balance.reserved_wei == 0


async def test_submit__many_at_once__never_more_than_the_credit(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        escrow_wei = (await first_task(gateway)).reserved_wei
        await gateway.grant(BOB, Wei(3 * escrow_wei))
        results = await asyncio.gather(
            *(gateway.service.submit(BOB, request()) for _ in range(20)), return_exceptions=True
        )
        taken = [each for each in results if isinstance(each, TaskRecord)]
        refused = [each for each in results if isinstance(each, InsufficientBalance)]
        assert (len(taken), len(refused)) == (3, 17)
        done = [await gateway.service.wait_over(BOB, each.id, WAIT_S) for each in taken]
        balance = await gateway.accounts.balance(BOB)
    assert {record.state for record in done} == {TaskState.COMPLETED}
    assert balance.reserved_wei == 0
    assert balance.available_wei == 3 * escrow_wei - sum(record.cost_wei for record in done)
    assert await net.network.coordinator.job_count() == 4


async def test_stopped_when_it_has_just_taken_tasks__each_is_mined_once(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await first_task(gateway)
        await net.anvil.acall("evm_setAutomine", False)
        taken = await asyncio.gather(*(gateway.service.submit(ALICE, request()) for _ in range(5)))
    await net.mine_every_second()
    async with task_gateway(where(net)) as gateway:
        done = [await gateway.service.wait_over(ALICE, each.id, WAIT_S) for each in taken]
        balance = await gateway.accounts.balance(ALICE)
    assert {record.state for record in done} == {TaskState.COMPLETED}
    assert balance.reserved_wei == 0
    assert await net.network.coordinator.job_count() == 6
