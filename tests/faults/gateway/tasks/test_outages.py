"""Chain, store or money away for a while: tasks are kept and finished later."""

import asyncio

import pytest

from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.errors import NetworkUnavailable, NoCapacity, TaskTimeout
from dvllm_gateway.market.simulations import FRESH_S
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.tasks import TaskRequest, TaskState
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import development_account
from tests.support.task_network import (
    ALICE,
    TaskGateway,
    request,
    task_gateway,
    where,
)
from tests.support.waiting import wait_until
from tests.support.worker_network import WorkerNetwork
from tests.support.worker_process import WorkerProcess

WAIT_S = 180.0
RPC_GIVES_UP_S = 44.0
PENNILESS = development_account(8)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG, Fault.STATUS])
async def test_chain_is_silent_for_seconds__task_is_finished_afterwards(
    net: WorkerNetwork, worker: WorkerProcess, fault: Fault
) -> None:
    await net.mine_every_second()
    async with FaultProxy("127.0.0.1", net.anvil.port) as rpc:
        place = where(net, rpc_url=rpc.url, ws_url=rpc.ws_url)
        async with task_gateway(place) as gateway:
            await gateway.grant(ALICE, tokens(10))
            before = [await gateway.service.submit(ALICE, request()) for _ in range(3)]
            rpc.fault = fault
            rpc.cut()
            meanwhile = [await gateway.service.submit(ALICE, request()) for _ in range(3)]
            await asyncio.sleep(7)
            assert not (await gateway.service.get(ALICE, meanwhile[0].id)).state.is_over
            rpc.fault = None
            rpc.cut()
            tasks = [*before, *meanwhile]
            done = [await gateway.service.wait_over(ALICE, task.id, WAIT_S) for task in tasks]
            n_jobs = await net.network.coordinator.job_count()
    assert all(record.state is TaskState.COMPLETED for record in done)
    assert n_jobs == len(tasks)


async def test_answers_to_a_broadcast_are_lost__submitted_once(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with (
        FaultProxy("127.0.0.1", net.anvil.port) as rpc,
        task_gateway(where(net, rpc_url=rpc.url)) as gateway,
    ):
        await gateway.grant(ALICE, tokens(10))
        first = await gateway.service.submit(ALICE, request())
        await gateway.service.wait_over(ALICE, first.id, WAIT_S)
        rpc.fault, rpc.only, rpc.times = Fault.DROP_AFTER_ACCEPT, b"eth_sendRawTransaction", 3
        task = await gateway.service.submit(ALICE, request())
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
        n_jobs = await net.network.coordinator.job_count()
    assert done.state is TaskState.COMPLETED
    assert n_jobs == 2


async def test_content_store_is_away__task_is_sent_afterwards(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        port = int(net.server.api_url.rpartition(":")[2])
        await net.server.stop()
        task = await gateway.service.submit(ALICE, request())
        await asyncio.sleep(2)
        assert (await gateway.service.get(ALICE, task.id)).job_id is None
        async with ContentServer(net.store, api_port=port, gateway_port=0):
            done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
        await net.server.start()
    assert done.state is TaskState.COMPLETED


async def test_chain_hangs_before_a_price_is_known__refused_soon_and_nothing_is_reserved(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    limits = TaskLimits(quote_wait_s=1.0)
    async with (
        FaultProxy("127.0.0.1", net.anvil.port) as rpc,
        task_gateway(where(net, rpc_url=rpc.url), limits=limits) as gateway,
    ):
        await gateway.grant(ALICE, tokens(10))
        rpc.fault = Fault.HANG
        with pytest.raises(NetworkUnavailable):
            async with asyncio.timeout(RPC_GIVES_UP_S / 2):
                await gateway.service.submit(ALICE, request())
        balance = await gateway.accounts.balance(ALICE)
        rpc.fault = None
        rpc.cut()
        task = await gateway.service.submit(ALICE, await accepted(gateway))
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert (balance.available_wei, balance.reserved_wei) == (tokens(10), 0)
    assert done.state is TaskState.COMPLETED


async def test_content_store_hangs__the_stream_ends_naming_the_task_which_is_finished_later(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    limits = TaskLimits(unsent_s=1.0)
    port = int(net.server.api_url.rpartition(":")[2])
    async with (
        FaultProxy("127.0.0.1", port) as content,
        task_gateway(where(net, content_port=content.port), limits=limits) as gateway,
    ):
        await gateway.grant(ALICE, tokens(10))
        content.fault = Fault.HANG
        task = await gateway.service.submit(ALICE, request())
        with pytest.raises(TaskTimeout) as late:
            async for _ in gateway.service.stream(ALICE, task.id):
                raise AssertionError("there is nothing to tell")
        content.fault = None
        content.cut()
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert late.value.task_created and task.id in late.value.details
    assert done.state is TaskState.COMPLETED


async def test_cancel__not_sent_yet__cancelled_and_free(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        await net.server.stop()
        task = await gateway.service.submit(ALICE, request())
        cancelled = await gateway.service.cancel(ALICE, task.id)
        balance = await gateway.accounts.balance(ALICE)
        await net.server.start()
    assert (cancelled.state, cancelled.job_id) == (TaskState.CANCELLED, None)
    assert balance.available_wei == tokens(10)


async def test_reorganisation_drops_the_request__sent_again_and_answered(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    await net.mine_every_second()
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        task = await gateway.service.submit(ALICE, request())
        record = await gateway.service.wait_submitted(ALICE, task.id, WAIT_S)
        assert record.job_id is not None
        before = await net.network.jobs.request(record.job_id)
        await net.anvil.acall("anvil_reorg", 2, [])
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert done.state is TaskState.COMPLETED
    assert done.job_id is not None
    after = await net.network.jobs.request(done.job_id)
    assert after.position.block_hash != before.position.block_hash
    answer = await net.answer(done.job_id)
    assert answer.text == done.response


async def test_gateway_without_tokens__no_capacity_until_it_gets_some(
    net: WorkerNetwork, worker: WorkerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with task_gateway(where(net), account=PENNILESS) as gateway:
        await gateway.grant(ALICE, tokens(10))
        with pytest.raises(NoCapacity):
            await gateway.service.submit(ALICE, request())
        assert f"send tokens to {PENNILESS.address}" in caplog.text
        assert (await gateway.accounts.balance(ALICE)).available_wei == tokens(10)
        await net.give_tokens(Address(PENNILESS.address), tokens(50))
        task = await gateway.service.submit(ALICE, await accepted(gateway))
        done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert done.state is TaskState.COMPLETED


async def test_gateway_without_gas__no_capacity_until_it_gets_some(
    net: WorkerNetwork, worker: WorkerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with task_gateway(where(net)) as gateway:
        await gateway.grant(ALICE, tokens(10))
        first = await gateway.service.submit(ALICE, request())
        await gateway.service.wait_over(ALICE, first.id, WAIT_S)
        await net.anvil.acall("anvil_setBalance", gateway.desk.address, "0x1")
        await asyncio.sleep(FRESH_S)  # for as long it goes by what it has seen
        kept = await gateway.service.submit(ALICE, request())
        await wait_until(
            lambda: "gateway_short_of_money" in caplog.text, what="a word to the operator"
        )
        with pytest.raises(NoCapacity):
            await gateway.service.submit(ALICE, request())
        await net.anvil.acall("anvil_setBalance", gateway.desk.address, hex(10**21))
        done = await gateway.service.wait_over(ALICE, kept.id, WAIT_S)
    assert done.state is TaskState.COMPLETED


async def accepted(gateway: TaskGateway) -> TaskRequest:
    """A request, once the gateway can price it and pay for it."""
    wanted = request()
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await gateway.crew.market().quote(wanted)
            except (NoCapacity, NetworkUnavailable):
                await asyncio.sleep(0.1)
            else:
                return wanted
