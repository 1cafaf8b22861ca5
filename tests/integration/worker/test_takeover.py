"""Jobs that another node let go: killed, lapsed, handed back, or open from the start."""

from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.worker_network import FIRST_WORKER, SECOND_WORKER, TERMS, WorkerNetwork


async def test_leased_node_is_killed__other_node__takes_and_answers(net: WorkerNetwork) -> None:
    with net.worker(FIRST_WORKER) as first, net.worker(SECOND_WORKER) as second:
        await net.enlist(first)
        await net.enlist(second)
        first.start(FAULT_AT="after:generating")
        second.start()
        await first.on_duty()
        await second.on_duty()
        await net.mine_every_second()
        job_id = await net.submit(node=first.address)
        await first.ended()
        await net.pass_time(TERMS.lease_s)
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        assert state.node == second.address
        assert state.attempts == 2
        assert (await net.answer(job_id)).node == second.address


async def test_engine_fails__job_goes_to_another_node_within_the_lease(net: WorkerNetwork) -> None:
    broken = {"kind": "transformers", "start_timeout_s": 0.2}
    with (
        net.worker(FIRST_WORKER, engine=broken, limits={"engine_wait_s": 1.0}) as first,
        net.worker(SECOND_WORKER) as second,
    ):
        await net.enlist(first)
        await net.enlist(second)
        first.start()
        second.start()
        await second.on_duty()
        await first.logged("listening on")
        await net.mine_every_second()
        job_id = await net.submit(node=first.address)
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        assert state.node == second.address
        assert "engine_failed" in first.log_text()
        assert not (await net.network.coordinator.node(first.address)).is_suspended


async def test_engine_hangs__handed_back_before_the_lease_ends(
    hurried_net: WorkerNetwork,
) -> None:
    net = hurried_net
    slow = {"engine.null": {"first_token_s": 600.0}}
    with net.worker(FIRST_WORKER, **slow) as first, net.worker(SECOND_WORKER) as second:
        await net.enlist(first)
        await net.enlist(second)
        first.start()
        second.start()
        await first.on_duty()
        await second.on_duty()
        await net.mine_every_second()
        job_id = await net.submit(node=first.address)
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        assert state.node == second.address
        assert not (await net.network.coordinator.node(first.address)).is_suspended


async def test_open_job__older_than_the_node__taken_when_it_starts(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.fund(worker)
        job_id = await net.submit()
        assert (await net.state(job_id)).status is JobStatus.OPEN
        await net.enlist(worker)
        worker.start()
        state = await net.reaches(job_id, JobStatus.DELIVERED)
        assert state.node == worker.address


async def test_full_node__job_becomes_open__taken_once_a_slot_is_free(net: WorkerNetwork) -> None:
    slow = {"engine.null": {"first_token_s": 2.0, "n_tokens": 1}}
    with net.worker(node={"slots": 1}, **slow) as worker:
        await net.enlist(worker, slots=1)
        worker.start()
        await worker.on_duty()
        first, second = await net.submit(), await net.submit()
        assert (await net.state(second)).status is JobStatus.OPEN
        await net.reaches(first, JobStatus.DELIVERED)
        assert (await net.reaches(second, JobStatus.DELIVERED)).node == worker.address


async def test_overdue_job__expiring_node__ends_it_for_the_requester(net: WorkerNetwork) -> None:
    idle = {"take_jobs": False, "expire_overdue": True}
    with net.worker(FIRST_WORKER, node=idle) as keeper, net.worker(SECOND_WORKER) as dead:
        await net.enlist(keeper)
        await net.enlist(dead)
        keeper.start()
        await keeper.on_duty()
        await net.mine_every_second()
        job_id = await net.submit(node=dead.address)
        await net.pass_time(TERMS.lease_s + TERMS.open_s)
        await net.reaches(job_id, JobStatus.EXPIRED)
