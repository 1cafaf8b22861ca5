"""How a worker ends: drained by the first signal, at once by the second."""

from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.waiting import wait_until
from tests.support.worker_network import FIRST_WORKER, SECOND_WORKER, WorkerNetwork


async def test_sigterm__lease_can_be_finished__is_finished_first(net: WorkerNetwork) -> None:
    with net.worker(**{"engine.null": {"first_token_s": 2.0}}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await worker.logged('"stage": "generating"')
        worker.terminate()
        assert await worker.ended() == 0
        assert (await net.state(job_id)).status is JobStatus.DELIVERED
        assert "stopped in good order" in worker.log_text()


async def test_sigterm__lease_takes_too_long__is_handed_back(net: WorkerNetwork) -> None:
    slow = {"engine.null": {"first_token_s": 600.0}}
    with net.worker(FIRST_WORKER, limits={"drain_s": 0.5}, **slow) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await worker.logged('"stage": "generating"')
        worker.terminate()
        assert await worker.ended() == 0
        assert (await net.state(job_id)).status is JobStatus.OPEN


async def test_sigterm__with_pause_when_stopped__no_more_leases(net: WorkerNetwork) -> None:
    with net.worker(node={"pause_when_stopped": True}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        worker.terminate()
        assert await worker.ended() == 0
        assert (await net.network.coordinator.node(worker.address)).slots == 0
        job_id = await net.submit()
        assert (await net.state(job_id)).status is JobStatus.OPEN
        worker.start()
        await wait_until(lambda: worker.log_text().count("on duty") == 2, what="duty again")
        assert (await net.network.coordinator.node(worker.address)).slots == 64


async def test_sigterm__chain_mines_nothing__ends_all_the_same(net: WorkerNetwork) -> None:
    with net.worker(node={"pause_when_stopped": True}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        await net.anvil.acall("evm_setAutomine", False)
        worker.terminate()
        assert await worker.ended() == 0
        assert "still offered on chain" in worker.log_text()


async def test_sigterm__delivery_is_never_confirmed__ends_after_the_lease_and_a_start_goes_on(
    hurried_net: WorkerNetwork,
) -> None:
    net = hurried_net
    with net.worker(chain={"confirmations": 3}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await net.anvil.acall("anvil_mine", 2)  # and none after that of the delivery
        await worker.logged('"stage": "submitted"')
        worker.terminate()
        assert await worker.ended() == 0
        assert "1 jobs are left to the next start" in worker.log_text()
        assert "stopped in good order" not in worker.log_text()
        worker.start()
        await net.anvil.acall("anvil_mine", 3)
        await worker.logged('"stage": "final"')
        assert (await net.state(job_id)).node == worker.address


async def test_second_signal__ends_at_once__and_a_start_goes_on(net: WorkerNetwork) -> None:
    with net.worker(**{"engine.null": {"first_token_s": 3.0}}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await worker.logged('"stage": "generating"')
        worker.terminate()
        await worker.logged("stopping")
        worker.terminate()
        assert await worker.ended() == 0
        assert (await net.state(job_id)).status is JobStatus.LEASED
        worker.start()
        assert (await net.reaches(job_id, JobStatus.DELIVERED)).node == worker.address


async def test_second_process_with_the_key__refused_and_named(net: WorkerNetwork) -> None:
    with net.worker(FIRST_WORKER) as first, net.worker(SECOND_WORKER) as second:
        await net.enlist(first)
        first.start()
        await first.on_duty()
        key = "0x" + bytes(FIRST_WORKER.key).hex()
        second.change("key", private_key=key)
        second.start()
        assert await second.ended() == 1
        assert "another process on this machine sends with" in second.log_text()
        assert key[2:] not in second.log_text()
        job_id = await net.submit()
        await net.reaches(job_id, JobStatus.DELIVERED)
