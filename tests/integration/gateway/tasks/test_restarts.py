"""A gateway that is killed or stopped at any point loses no task and submits none twice."""

import asyncio
from collections.abc import Iterator

import pytest

from decentralized_vllm.chain.request_history import RequestHistory
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.errors import NoCapacity
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.tasks import TaskRecord, TaskState
from tests.support.ports import free_port
from tests.support.postgresql import postgresql_programs, running_cluster
from tests.support.task_network import ALICE, GATEWAY, Where, request, task_gateway, where
from tests.support.task_process import task_process
from tests.support.worker_network import WorkerNetwork
from tests.support.worker_process import WorkerProcess

WAIT_S = 180.0
SLOW = {"engine.null": {"n_tokens": 30, "token_interval_s": 0.1}}


async def outcome(place: Where, task_ids: list[TaskId]) -> list[TaskRecord]:
    """What a new gateway process makes of the tasks."""
    async with task_gateway(place) as gateway:
        waits = (gateway.service.wait_over(ALICE, task_id, WAIT_S) for task_id in task_ids)
        done = await asyncio.gather(*waits)
        balance = await gateway.accounts.balance(ALICE)
    assert balance.reserved_wei == 0
    assert balance.available_wei == tokens(50) - sum(record.cost_wei for record in done)
    return list(done)


async def n_requests(net: WorkerNetwork) -> int:
    network = net.network
    history = RequestHistory(network.rpc, network.coordinator.address, Address(GATEWAY.address))
    return len(await history.between(0, net.anvil.block_number()))


async def test_killed_before_the_prompt_is_sent__sent_by_the_next(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    place = where(net)
    with task_process(where(net, content_port=free_port()), n_tasks=3) as process:
        tasks = await process.says("taken", n_tasks=3)
        process.kill()
        assert not any(line.endswith("sent") for line in process.lines())
    done = await outcome(place, tasks)
    assert sorted(record.response or "" for record in done) == [
        " ".join([f"word{n}"] * 8) for n in range(3)
    ]
    assert await n_requests(net) == 3


async def test_killed_before_it_is_mined__mined_once(
    net: WorkerNetwork, worker: WorkerProcess
) -> None:
    with task_process(where(net), n_tasks=5) as process:
        await process.says("taken", n_tasks=5)
        await process.says("completed", n_tasks=5)
        process.kill()
    await net.anvil.acall("evm_setAutomine", False)
    with task_process(where(net), n_tasks=5) as process:
        tasks = await process.says("sent", n_tasks=5)
        process.kill()
    await net.mine_every_second()
    async with task_gateway(where(net)) as gateway:
        waits = (gateway.service.wait_over(ALICE, task_id, WAIT_S) for task_id in tasks)
        done = await asyncio.gather(*waits)
    assert all(record.state is TaskState.COMPLETED for record in done)
    assert await n_requests(net) == 10


async def test_killed_while_a_node_works__answer_is_waited_for(net: WorkerNetwork) -> None:
    with net.worker(**SLOW) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        with task_process(where(net), max_tokens=30) as process:
            tasks = await process.says("running")
            process.kill()
        (done,) = await outcome(where(net), tasks)
    assert done.state is TaskState.COMPLETED and done.started_at_ms is not None
    assert await n_requests(net) == 1


async def test_killed_and_delivered_meanwhile__answer_is_read(net: WorkerNetwork) -> None:
    with net.worker(**SLOW) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        with task_process(where(net), max_tokens=30) as process:
            tasks = await process.says("running")
            process.kill()
        job_id = await net.network.coordinator.job_count()
        await net.reaches(job_id, JobStatus.DELIVERED)  # type: ignore[arg-type]
        await net.anvil.acall("anvil_mine", "0x20")  # far below where a new follower begins
        (done,) = await outcome(where(net), tasks)
    assert done.state is TaskState.COMPLETED and done.cost_wei > 0


async def test_stopped_while_streaming__the_next_one_streams_the_same_answer(
    net: WorkerNetwork,
) -> None:
    with net.worker(**SLOW) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        async with task_gateway(where(net)) as gateway:
            await gateway.grant(ALICE, tokens(50))
            task = await gateway.service.submit(ALICE, request("a b", max_tokens=64))
            first = await anext(aiter(gateway.service.stream(ALICE, task.id)))
        async with task_gateway(where(net)) as gateway:
            items = [item async for item in gateway.service.stream(ALICE, task.id)]
            done = await gateway.service.wait_over(ALICE, task.id, WAIT_S)
    assert done.response is not None and done.response.startswith(first.text)  # type: ignore[union-attr]
    assert "".join(item.text for item in items[:-1]) == done.response  # type: ignore[union-attr]


@pytest.fixture(params=["sqlite", "postgresql"])
def place(net: WorkerNetwork, request: pytest.FixtureRequest) -> Iterator[Where]:
    if request.param == "sqlite":
        yield where(net)
        return
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    with running_cluster(programs) as cluster:
        yield where(net, database=cluster.new_database())


async def test_two_with_one_key__second_stands_by_and_takes_over(
    net: WorkerNetwork, worker: WorkerProcess, place: Where
) -> None:
    with task_process(place, n_tasks=3) as process:
        tasks = await process.says("completed", n_tasks=3)
        async with task_gateway(place, waits=False) as second:
            heard = second.bus.subscribe(after=0)
            await asyncio.sleep(1)
            assert not second.crew.is_on_duty
            with pytest.raises(NoCapacity):
                await second.service.submit(ALICE, request())
            process.kill()
            async with asyncio.timeout(20):
                await second.crew.on_duty()
            task = await second.service.submit(ALICE, request())
            done = await second.service.wait_over(ALICE, task.id, WAIT_S)
            old = [await second.service.get(ALICE, task_id) for task_id in tasks]
            async with asyncio.timeout(WAIT_S):
                while (await anext(heard)).payload != done:
                    continue
    assert done.state is TaskState.COMPLETED
    assert all(record.state is TaskState.COMPLETED for record in old)
    assert len({record.job_id for record in (*old, done)}) == 4
