"""kill -9 at every transition, then a second start: nothing is lost, nothing is sent twice."""

import pytest

from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.worker_network import FIRST_WORKER, WorkerNetwork

ANSWERING = (
    "leased",
    "fetched",
    "generating",
    "generated",
    "published",
    "submitting",
    "submitted",
    "final",
)
KILLED = 137


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("stage", ANSWERING)
async def test_killed_while_answering__started_again__answers_once(
    net: WorkerNetwork, stage: str, moment: str
) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        n_before = await net.sent_by(FIRST_WORKER)
        worker.start(FAULT_AT=f"{moment}:{stage}")
        await worker.on_duty()
        job_id = await net.submit()
        assert await worker.ended() == KILLED
        worker.start()
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        assert state.node == worker.address
        await worker.logged('"stage": "final"') if (stage, moment) != ("final", "after") else None
        document = await net.answer(job_id)
        assert document.request.job_id == job_id
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


@pytest.mark.parametrize("stage", ["failing", "failed"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_killed_while_handing_back__started_again__handed_back_once(
    net: WorkerNetwork, stage: str, moment: str
) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        n_before = await net.sent_by(FIRST_WORKER)
        worker.start(FAULT_AT=f"{moment}:{stage}")
        await worker.on_duty()
        job_id = await net.submit(b'{"version": 1, "type": "nonsense"}')
        assert await worker.ended() == KILLED
        worker.start()
        await net.reaches(job_id, JobStatus.FAILED)
        await worker.logged("on duty")
        assert await net.sent_by(FIRST_WORKER) == n_before + 1


async def test_killed_after_generated__started_again__publishes_the_same_answer(
    net: WorkerNetwork,
) -> None:
    with net.worker(**{"engine.null": {"n_tokens": 5}}) as worker:
        await net.enlist(worker)
        worker.start(FAULT_AT="after:generated")
        await worker.on_duty()
        job_id = await net.submit()
        assert await worker.ended() == KILLED
        worker.change("engine.null", n_tokens=9)
        worker.start()
        await net.reaches(job_id, JobStatus.DELIVERED)
        assert (await net.answer(job_id)).usage.n_output_tokens == 5
        assert worker.stages(job_id).count("generating") == 1
