"""A running node's resources: changed over HTTP, in force on chain and in the process."""

import asyncio
import os
import time

import aiohttp
import pytest
from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from dvllm_worker.resources.cores import available_cores
from tests.support.anvil import development_account
from tests.support.worker_network import WorkerNetwork
from tests.support.worker_process import WorkerProcess

MANAGER = development_account(7)


async def post(worker: WorkerProcess, body: bytes, account: LocalAccount) -> int:
    request = HttpRequest(f"127.0.0.1:{worker.port}", "POST", "/resources", body_digest(body))
    headers = signed_headers(
        request, account, timestamp_s=int(time.time()), nonce=os.urandom(16).hex()
    )
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{worker.url}/resources", data=body, headers=headers) as answer,
    ):
        return answer.status


async def chain_slots(net: WorkerNetwork, worker: WorkerProcess, wanted: int) -> None:
    async with asyncio.timeout(30):
        while True:
            node = await net.network.node_registry.node(worker.address)
            if node.profile.slots == wanted:
                return
            await asyncio.sleep(0.1)


@pytest.mark.skipif(len(available_cores()) < 2, reason="needs two cores of Linux")
async def test_resources__manager_halves_the_processor__slots_and_cores_follow(
    net: WorkerNetwork,
) -> None:
    with net.worker(node={"slots": 8, "managers": [MANAGER.address]}) as worker:
        await net.enlist(worker, slots=8)
        worker.start()
        await worker.on_duty()
        half = 50 * len(available_cores()) / (os.cpu_count() or 1)

        assert await post(worker, b'{"cpu":%d}' % half, development_account(8)) == 403
        assert await post(worker, b'{"cpu":%d}' % half, MANAGER) == 200

        await chain_slots(net, worker, max(1, int(8 * half / 100)))
        assert worker.process is not None
        assert len(os.sched_getaffinity(worker.process.pid)) == len(available_cores()) // 2
        job_id = await net.submit(node=worker.address)
        await net.reaches(job_id, JobStatus.DELIVERED)

        worker.kill()
        worker.start()
        await worker.logged("with 4 slots")


async def test_resources__nothing_allotted__stays_paused_over_a_restart(net: WorkerNetwork) -> None:
    with net.worker(node={"slots": 8}) as worker:
        await net.enlist(worker, slots=8)
        worker.start()
        await worker.on_duty()
        assert await post(worker, b'{"cpu":0}', worker.account) == 200
        await chain_slots(net, worker, 0)

        worker.kill()
        worker.start()
        await worker.logged("with 0 slots")
        assert "not on duty yet" not in worker.log_text()
        await chain_slots(net, worker, 0)
        status = await asyncio.to_thread(worker.run, "status")
        assert "paused     a share of 0 percent is allotted -> POST /resources" in status.stdout
        assert await post(worker, b'{"cpu":100}', worker.account) == 200
        await chain_slots(net, worker, 8)
        job_id = await net.submit(node=worker.address)
        await net.reaches(job_id, JobStatus.DELIVERED)
