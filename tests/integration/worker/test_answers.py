"""The happy path: a lease comes in, an answer goes out and is paid."""

from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.worker_network import PROMPT, WorkerNetwork


async def test_lease__null_engine__answered_paid_and_readable(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        assert state.node == worker.address
        document = await net.answer(job_id)
        assert document.text.startswith(PROMPT.decode())
        node = await net.network.coordinator.node(worker.address)
        assert node.pending_earnings_wei > 0
        await worker.logged('"stage": "final"')
