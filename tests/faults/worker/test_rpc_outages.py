"""The chain goes away under a working node: the job is answered all the same, and once."""

import asyncio

import pytest

from decentralized_vllm.protocol.jobs import JobStatus
from tests.faults.proxy import Fault, FaultProxy
from tests.support.worker_network import FIRST_WORKER, WorkerNetwork

OUTAGE_S = 4.0


def through(proxy: FaultProxy) -> dict[str, dict[str, object]]:
    return {"chain": {"eth_node_url": [proxy.url], "ws_url": proxy.ws_url}}


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG, Fault.STATUS])
async def test_outage_while_generating__answered_once_when_it_is_over(
    net: WorkerNetwork, proxy: FaultProxy, fault: Fault
) -> None:
    slow = {"engine.null": {"first_token_s": 1.0}}
    with net.worker(**through(proxy), **slow) as worker:
        await net.enlist(worker)
        n_before = await net.sent_by(FIRST_WORKER)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await worker.logged('"stage": "generating"')
        proxy.fault = fault
        proxy.cut()
        await asyncio.sleep(OUTAGE_S)
        proxy.fault = None
        proxy.cut()
        await net.reaches(job_id, JobStatus.DELIVERED)
        await net.answer(job_id)
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


async def test_answer_of_a_send_is_lost__not_sent_again(
    net: WorkerNetwork, proxy: FaultProxy
) -> None:
    with net.worker(**through(proxy)) as worker:
        await net.enlist(worker)
        n_before = await net.sent_by(FIRST_WORKER)
        worker.start()
        await worker.on_duty()
        proxy.only, proxy.times = rb"eth_sendRawTransaction", 1
        proxy.fault = Fault.DROP_AFTER_ACCEPT
        job_id = await net.submit()
        await net.reaches(job_id, JobStatus.DELIVERED)
        await worker.logged('"stage": "final"')
        assert proxy.counts[Fault.DROP_AFTER_ACCEPT] == 1
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


async def test_events_in_the_gap_of_an_outage__found_afterwards(
    net: WorkerNetwork, proxy: FaultProxy
) -> None:
    with net.worker(**through(proxy)) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        proxy.fault = Fault.REFUSE
        proxy.cut()
        job_ids = [await net.submit() for _ in range(3)]
        await asyncio.sleep(1.0)
        proxy.fault = None
        for job_id in job_ids:
            await net.reaches(job_id, JobStatus.DELIVERED)
