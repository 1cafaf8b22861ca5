"""An operator's daily business with the node's tokens, while the worker runs."""

import json
from typing import Any

import pytest

from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.units import tokens
from tests.support.local_network import sending
from tests.support.worker_network import STAKE_WEI, WorkerNetwork
from tests.support.worker_process import WorkerProcess, run_in_thread


async def told_by(worker: WorkerProcess, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = await run_in_thread(worker, *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def test_worker_runs__stake_unstake_withdraw__are_sent_by_it(net: WorkerNetwork) -> None:
    with net.worker(node={"slots": 64, "settle_every_s": 0}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        staked = await told_by(worker, "stake", "1000")
        assert staked["stake_wei"] == STAKE_WEI + tokens(1000)
        assert staked.keys() == {"node", "stake", "stake_wei", "tx_hash"}
        said = await run_in_thread(worker, "unstake", "500")
        assert "500 tokens cool down until" in said.stdout
        await net.pass_time(net.network.clocks.cool_down_s + 1)
        assert (await told_by(worker, "withdraw", "--stake"))["amount"] == "500"

        job_id = await net.submit(node=worker.address)
        await net.reaches(job_id, JobStatus.DELIVERED)
        await net.pass_time(3 * net.network.clocks.epoch_s)
        before_wei = await net.network.token.balance(worker.address)
        withdrawn = await told_by(worker, "withdraw")
        earned_wei = await net.network.token.balance(worker.address) - before_wei
        assert earned_wei == withdrawn["amount_wei"] > 0
        assert worker.process is not None and worker.process.poll() is None


async def test_worker_runs__what_it_refuses__is_told_as_without_it(net: WorkerNetwork) -> None:
    refused = (("stake", "1000000"), ("withdraw",), ("withdraw", "--stake"), ("unstake", "99999"))
    with net.worker() as worker:
        await net.enlist(worker)
        before = [await told_by(worker, *each, code=1) for each in refused]
        worker.start()
        await worker.on_duty()
        told = [await told_by(worker, *each, code=1) for each in refused]
        assert told == before


@pytest.mark.parametrize(
    "command",
    [
        ("stake", "1"),
        ("unstake", "1"),
        ("withdraw",),
        ("register",),
        ("serve-model", "tiny"),
        ("deregister",),
    ],
)
async def test_key_is_used_by_no_worker__the_way_out_is_named(
    net: WorkerNetwork, command: tuple[str, ...]
) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        worker.change("key", lock_dir=str(net.folder))  # that of this test's own sender
        async with sending(net.network, worker.account, net.folder):
            done = await run_in_thread(worker, *command)
        assert done.returncode == 1
        assert "no worker answers" in done.stderr
        assert "Traceback" not in done.stderr
