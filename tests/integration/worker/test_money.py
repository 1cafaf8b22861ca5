"""An operator's daily business with the node's tokens, while the worker runs."""

import json
from datetime import UTC, datetime
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


async def test_refused_by_the_contracts__told_in_words_with_the_way_on(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.fund(worker)
        for command in (("stake", "1"), ("unstake", "1"), ("deregister",)):
            told = await told_by(worker, *command, code=1)
            assert (told["error"], "worker register" in told["hint"]) == ("NotReady", True), told
        await net.enlist(worker)
        told = await told_by(worker, "unstake", "99999", code=1)
        assert "are free, 99999 are asked for" in told["message"]
        cooling = await told_by(worker, "unstake", "500")
        told = await told_by(worker, "withdraw", "--stake", code=1)
        until = datetime.fromtimestamp(cooling["cooling_until_s"], UTC)
        assert f"stays until {until:%Y-%m-%d %H:%M:%S} UTC" in told["message"]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("stake", "0"), "more than 0"),
        (("withdraw", "5", "--stake"), "takes no AMOUNT"),
    ],
)
async def test_amount_that_can_not_be_meant__refused_before_anything_is_sent(
    net: WorkerNetwork, command: tuple[str, ...], told: str
) -> None:
    with net.worker() as worker:
        done = await run_in_thread(worker, *command)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr


async def test_withdraw__earnings_go_to_another_address__it_is_named(net: WorkerNetwork) -> None:
    payout = "0x000000000000000000000000000000000000dEaD"
    with net.worker() as worker:
        await net.fund(worker)
        await told_by(worker, "register", "--payout", payout)
        told = await told_by(worker, "withdraw", code=1)
        assert payout in told["hint"]


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
