"""The disk is full for a while: the node says so, loses nothing, goes on when there is space."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.anvil import Anvil
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.worker_network import (
    FIRST_WORKER,
    PATIENCE_S,
    SECOND_WORKER,
    TERMS,
    WorkerNetwork,
    worker_network,
)
from tests.support.worker_process import WorkerProcess

NO_SPACE = "no space left"
LEASE_S = 60


@pytest.fixture
async def net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    """With leases that outlast the trouble."""
    async with worker_network(anvil, tmp_path, replace(TERMS, lease_s=LEASE_S)) as net:
        yield net


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def on(disk: SmallDisk) -> dict[str, object]:
    return {"data_dir": str(disk.path / "data")}


async def is_queued(worker: WorkerProcess) -> None:
    """Returns once a job that is another's is in the node's journal."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
        while (await (await http.get(f"{worker.url}/status")).json())["queue"] == 0:  # noqa: ASYNC110 - a page tells nothing by itself
            await asyncio.sleep(0.05)


async def assert_goes_on(net: WorkerNetwork, worker: WorkerProcess, job_id: int) -> None:
    """Delivered by this node, which never stopped, with the one transaction that a job takes."""
    state = await net.reaches(job_id, JobStatus.DELIVERED)
    assert state.node == worker.address
    await worker.logged('"stage": "final"')
    assert_well(worker)
    assert (await net.answer(job_id)).request.job_id == job_id


def assert_well(worker: WorkerProcess) -> None:
    assert worker.process is not None
    assert worker.process.poll() is None
    assert "Traceback" not in worker.log_text()


async def test_full__job_comes_meanwhile__said_and_answered_here_or_by_whom_it_is_handed_to(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    """It is handed back if space comes just before the node would have waited for it."""
    with net.worker(top=on(disk)) as worker, net.worker(SECOND_WORKER) as other:
        await net.enlist(worker)
        await net.enlist(other)
        n_before = await net.sent_by(FIRST_WORKER)
        for each in (worker, other):
            each.start()
            await each.on_duty()
        disk.fill()
        job_id = await net.submit(node=worker.address)
        await worker.logged(NO_SPACE)
        disk.make_room()
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        end = "final" if state.node == worker.address else "failed"
        await worker.logged(f'"stage": "{end}"')
        assert_well(worker)
        assert (await net.answer(job_id)).request.job_id == job_id
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


async def test_full__while_generating__said_and_answered_once_there_is_space(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    slow = {"engine.null": {"first_token_s": 1.0}}
    with net.worker(top=on(disk), **slow) as worker:
        await net.enlist(worker)
        n_before = await net.sent_by(FIRST_WORKER)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await worker.logged('"stage": "generating"')
        disk.fill()
        await worker.logged(f"job {job_id} waits: {NO_SPACE}")
        disk.make_room()
        await assert_goes_on(net, worker, job_id)
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


async def test_full__while_its_transaction_is_pending__confirmed_once_there_is_space(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    with net.worker(top=on(disk)) as worker:
        await net.enlist(worker)
        n_before = await net.sent_by(FIRST_WORKER)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await net.anvil.acall("evm_setAutomine", False)
        await worker.logged('"stage": "submitted"')
        disk.fill()
        await net.anvil.acall("evm_setAutomine", True)
        await net.anvil.acall("evm_mine")
        await worker.logged(NO_SPACE)
        disk.make_room()
        await assert_goes_on(net, worker, job_id)
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


async def test_full__when_a_lapsed_job_is_to_be_taken__taken_once_there_is_space(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    with net.worker(top=on(disk)) as worker, net.worker(SECOND_WORKER) as absent:
        await net.enlist(worker)
        await net.enlist(absent)
        worker.start()
        await worker.on_duty()
        await net.mine_every_second()
        job_id = await net.submit(node=absent.address)
        await is_queued(worker)
        disk.fill()
        await net.pass_time(LEASE_S + net.network.clocks.grace_s)
        await worker.logged(f"job {job_id} is looked at again: {NO_SPACE}")
        disk.make_room()
        await assert_goes_on(net, worker, job_id)


async def test_full__of_the_log_alone__jobs_are_answered_all_the_same(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    (net.folder / FIRST_WORKER.address).symlink_to(disk.path)
    elsewhere = {"data_dir": str(net.folder / "elsewhere")}
    with net.worker(top=elsewhere) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        disk.fill()
        job_id = await net.submit()
        await net.reaches(job_id, JobStatus.DELIVERED)
        disk.make_room()
        assert (await net.answer(job_id)).node == worker.address


async def test_full__before_the_start__refused_in_one_line(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    with net.worker(top=on(disk)) as worker:
        await net.enlist(worker)
        disk.fill()
        worker.start()
        assert await worker.ended() == 1
        assert "MiB are free at" in worker.log_text()
        assert "Traceback" not in worker.log_text()


async def test_too_small_for_the_model__said_and_served_once_there_is_space(
    net: WorkerNetwork, disk: SmallDisk
) -> None:
    disk.make_room(400)
    with net.worker(top=on(disk)) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.logged("use a larger disk for data_dir")
        assert "on duty" not in worker.log_text()
        disk.make_room()
        await worker.on_duty()
