"""The demonstration by its command, with a model of random weights; what it says, by the chain."""

import os
import signal
from contextlib import asynccontextmanager

import pytest
from pydantic_core import from_json

from decentralized_vllm.chain.deployment import read_deployments
from decentralized_vllm.chain.network import ChainSettings, connect
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.protocol.events import InferenceCompleted, JobExpired, NoShow
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.prompts import parse_prompt
from decentralized_vllm.protocol.responses import parse_response
from dvllm_devnet.accounts import make_cast
from dvllm_devnet.chain_process import start_chain
from dvllm_devnet.layout import Layout
from dvllm_devnet.programs import find_anvil
from dvllm_devnet.settings import ChainSettings as AnvilSettings
from tests.support.devnet_process import ROOT, TINY_MODEL, running, still_alive
from tests.support.ports import free_ports

PROMPT = 'What costs $5 & "nothing"? $(id) `id`'
ENV = {**os.environ, **TINY_MODEL, "ENGINE": "transformers", "PROMPT": PROMPT, "JSON": "1"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The home of a demonstration that was played to its end, and what it said."""
    home = tmp_path_factory.mktemp("demo") / "net"
    with running(home, "demo", env=ENV) as devnet:
        devnet.wait_for_text("act 1: an answer")
        family = devnet.family()
        assert devnet.process.wait(timeout=280) == 0, devnet.err
        assert still_alive(family) == []
    return Layout(home / "demo"), from_json(devnet.out.splitlines()[-1]), devnet.err


@asynccontextmanager
async def chain_of(layout):
    """The demonstration's chain, started again from what it saved."""
    port = free_ports(1)
    settings = AnvilSettings(port=port, chain_id=31337, block_time_s=1, save_interval_s=60)
    deployment = read_deployments(layout.deployment)[31337]
    chain = await start_chain(find_anvil(ROOT), settings, layout)
    try:
        address = deployment.coordinator.address
        urls = (f"http://127.0.0.1:{port}",)
        async with connect(ChainSettings(eth_node_url=urls, contract_address=address)) as network:
            yield network
    finally:
        await chain.stop()


async def read(store, cid):
    return await store.read_bytes(cid, max_bytes=1 << 20)


def test_report__has_every_documented_field_and_no_other(demo):
    _, report, _ = demo
    assert set(report) == {
        "job_id",
        "model_id",
        "engine",
        "prompt_cid",
        "response_cid",
        "text",
        "worker",
        "request_tx",
        "response_tx",
        "gas_request",
        "gas_response",
        "seconds",
        "takeover",
        "refund",
    }
    assert set(report["takeover"]) == {"job_id", "first_worker", "second_worker"}
    assert set(report["refund"]) == {"job_id", "amount_wei"}
    assert (report["model_id"], report["engine"]) == ("tiny", "transformers")


def test_report__seconds__are_all_there_and_fit_in_the_total(demo):
    seconds = dict(demo[1]["seconds"])
    total = seconds.pop("total")
    assert set(seconds) == {"chain_wait", "fetch", "generate", "publish", "submit"}
    assert all(value >= 0 for value in seconds.values())
    assert seconds["generate"] > 0
    assert seconds["chain_wait"] + seconds["fetch"] + seconds["generate"] < total


async def test_report__first_job__is_what_chain_and_store_say(demo):
    layout, report, _ = demo
    async with chain_of(layout) as network, LocalStore(layout.store) as store:
        state = await network.coordinator.job(report["job_id"])
        assert (state.status, state.node) == (JobStatus.DELIVERED, report["worker"])
        for what in ("request", "response"):
            receipt = await network.rpc.call("eth_getTransactionReceipt", report[f"{what}_tx"])
            assert int(receipt["gasUsed"], 16) == report[f"gas_{what}"]
        events = await network.jobs.events(report["job_id"])
        (completed,) = (e for e in events if isinstance(e, InferenceCompleted))
        assert completed.response_cid == report["response_cid"]
        assert completed.position.tx_hash == report["response_tx"]
        answer = parse_response(await read(store, report["response_cid"]))
        assert (answer.text, answer.node) == (report["text"], report["worker"])
        prompt = parse_prompt(await read(store, report["prompt_cid"]))
        assert prompt.messages[-1].content == PROMPT


async def test_report__takeover__the_first_worker_is_a_no_show_and_the_second_is_paid(demo):
    layout, report, _ = demo
    takeover = report["takeover"]
    workers = {account.address for account in make_cast(2).workers}
    assert {takeover["first_worker"], takeover["second_worker"]} == workers
    async with chain_of(layout) as network:
        events = await network.jobs.events(takeover["job_id"])
        (no_show,) = (e for e in events if isinstance(e, NoShow))
        assert no_show.node == takeover["first_worker"]
        state = await network.coordinator.job(takeover["job_id"])
        assert (state.status, state.node) == (JobStatus.DELIVERED, takeover["second_worker"])


async def test_report__refund__is_the_whole_escrow_of_an_expired_job(demo):
    layout, report, _ = demo
    async with chain_of(layout) as network:
        job_id = report["refund"]["job_id"]
        events = await network.jobs.events(job_id)
        (expired,) = (e for e in events if isinstance(e, JobExpired))
        state = await network.coordinator.job(job_id)
        assert state.status is JobStatus.EXPIRED
        assert expired.refund_wei == state.escrow_wei == report["refund"]["amount_wei"] > 0


def test_story__for_people__names_what_happened(demo):
    _, report, story = demo
    for part in (
        report["prompt_cid"],
        report["response_cid"],
        report["request_tx"],
        f"{report['gas_request']:,} gas",
        "leased to",
        "requester   paid",
        "its worker was killed, the other one answered",
        "the money came back",
    ):
        assert part in story


@pytest.mark.parametrize(
    ("moment", "stop_signal"),
    [("chain 31337 at", signal.SIGINT), ("holds job 1", signal.SIGINT)],
)
def test_stopped__at_any_moment__leaves_no_process(tmp_path, moment, stop_signal):
    with running(tmp_path / "net", "demo", env=ENV) as devnet:
        devnet.wait_for_text(moment)
        family = devnet.family()
        assert devnet.end(stop_signal) == 128 + stop_signal
        assert still_alive(family) == []
    assert "nothing is left running" in devnet.err
    assert devnet.out == ""


def test_killed__while_engines_run__leaves_no_process(tmp_path):
    with running(tmp_path / "net", "demo", env=ENV) as devnet:
        devnet.wait_for_text("holds job 1")
        family = devnet.family()
        assert len(family) >= 7  # itself, chain, content, two workers and their two engines
        devnet.end(signal.SIGKILL)
        assert still_alive(family) == []
