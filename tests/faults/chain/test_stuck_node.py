"""F7: a node that answers as ever and has not come as far as the other one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from decentralized_vllm.chain import rpc
from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.preparation import simulated_gas
from decentralized_vllm.protocol.errors import ContractRevert, UnknownJob
from decentralized_vllm.protocol.ids import Address, JobId
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import Anvil, running_anvil
from tests.support.local_network import REQUESTER, connected, prompt_call, sending
from tests.support.waiting import wait_until

WHO = Address(REQUESTER.address)
JOB = JobId(1)


@pytest.fixture
def stuck(anvil: Anvil, deployment: Deployment) -> Iterator[Anvil]:
    """A node that has all there is now, and nothing that comes later."""
    with running_anvil() as stuck:
        stuck.call("anvil_loadState", anvil.call("anvil_dumpState"))
        assert stuck.block_number() == anvil.block_number()
        yield stuck


@pytest.fixture
async def job(stuck: Anvil, anvil: Anvil, deployment: Deployment, tmp_path: Path) -> JobId:
    async with (
        connected(deployment, anvil.url) as network,
        sending(network, REQUESTER, tmp_path) as sender,
    ):
        await sender.send(prompt_call(network), key="job")
        await sender.wait("job")
    return JOB


async def test_job__node_that_is_asked_first_is_stuck__read_from_the_other(
    deployment: Deployment, stuck: Anvil, anvil: Anvil, job: JobId
) -> None:
    async with connected(deployment, stuck.url, anvil.url) as network:
        assert (await network.jobs.job(job)).job_id == job
        with pytest.raises(UnknownJob):
            await network.jobs.job(JobId(job + 1))


async def test_simulated_gas__reverts_only_where_the_chain_is_old__gas(
    deployment: Deployment, stuck: Anvil, anvil: Anvil, job: JobId
) -> None:
    async with connected(deployment, stuck.url, anvil.url) as network:
        calls = [network.requester_calls.cancel_job(JobId(i)) for i in (job, job + 1)]
        (gas, refusal), _ = await simulated_gas(network.rpc, WHO, calls)
        assert isinstance(gas, int)
        assert isinstance(refusal, UnknownJob | ContractRevert)


async def test_job__the_other_failed_before__read_from_it_all_the_same(
    deployment: Deployment, stuck: Anvil, anvil: Anvil, job: JobId
) -> None:
    async with (
        FaultProxy("127.0.0.1", anvil.port) as proxy,
        connected(deployment, proxy.url, stuck.url) as network,
    ):
        proxy.fault = Fault.STATUS
        for _ in range(6):  # it rests for long then
            await network.rpc.broadcast(["0x00"])
        proxy.fault = None
        assert (await network.jobs.job(job)).job_id == job


async def test_watch__node_that_is_asked_first_is_stuck__the_other_is_asked_soon(
    deployment: Deployment,
    stuck: Anvil,
    anvil: Anvil,
    job: JobId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rpc, "WATCH_HEADS_S", 0.01, raising=False)
    anvil.mine(10)
    async with connected(deployment, stuck.url, anvil.url) as network:
        healthiest = network.rpc.healthiest
        await wait_until(
            lambda: anvil.url.endswith(healthiest().name), what="another node", patience_s=20
        )
