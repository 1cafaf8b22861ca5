"""What an operator changes of the node's profile and models while the worker runs."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from decentralized_vllm.protocol.ids import Cid, ModelId
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from tests.support.anvil import Anvil
from tests.support.engines import tiny_model_path
from tests.support.local_network import OWNER, sending
from tests.support.worker_network import MODEL_ID, TERMS, WorkerNetwork, worker_network
from tests.support.worker_process import WorkerProcess, run_in_thread

SLOW = {"engine.null": {"first_token_s": 8.0}}
HANGS = {"engine.null": {"first_token_s": 3600.0}}
NOWHERE = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")


@pytest.fixture
async def patient_net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    """Its leases outlast whatever a test does meanwhile."""
    async with worker_network(anvil, tmp_path, replace(TERMS, lease_s=1800)) as net:
        yield net


async def told_by(worker: WorkerProcess, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = await run_in_thread(worker, *arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def is_up(net: WorkerNetwork, worker: WorkerProcess) -> None:
    await net.enlist(worker)
    worker.start()
    await worker.on_duty()


async def generating(net: WorkerNetwork, worker: WorkerProcess) -> int:
    job_id = await net.submit(node=worker.address)
    await worker.until_log(
        lambda _: "generating" in worker.stages(job_id), what=f"it generated for job {job_id}"
    )
    return job_id


def still_runs(worker: WorkerProcess) -> bool:
    return worker.process is not None and worker.process.poll() is None


async def models_of(worker: WorkerProcess) -> list[str]:
    status = await told_by(worker, "status")
    return [model["model_id"] for model in status["process"]["models"]]


async def allot_cpu(worker: WorkerProcess, percent: int) -> None:
    body = json.dumps({"cpu": percent}).encode()
    request = HttpRequest(f"127.0.0.1:{worker.port}", "POST", "/resources", body_digest(body))
    headers = signed_headers(
        request, worker.account, timestamp_s=int(time.time()), nonce=os.urandom(16).hex()
    )
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{worker.url}/resources", data=body, headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()


# ---------------------------------------------------------------- profile


async def test_worker_runs__register__changes_what_is_named_and_keeps_the_rest(
    net: WorkerNetwork,
) -> None:
    with net.worker() as worker:
        await is_up(net, worker)
        told = await told_by(worker, "register", "--region", "eu-central")
        assert (told["was_new"], told["slots"], told["endpoint"]) == (False, 64, worker.url)
        assert told.keys() == {"node", "was_new", "slots", "endpoint", "tx_hash"}
        other_name = f"http://localhost:{worker.port}"
        await told_by(worker, "register", "--endpoint", other_name, "--slots", "64")
        profile = (await net.network.node_registry.node(worker.address)).profile
        assert (profile.endpoint, profile.region, profile.slots) == (other_name, "eu-central", 64)
        assert (await net.network.coordinator.joined_versions(worker.address)) == (1,)
        assert still_runs(worker)


@pytest.mark.parametrize(
    ("flag", "value", "setting"),
    [
        ("--endpoint", "https://node.example", "node.endpoint"),
        ("--slots", "3", "node.slots"),
    ],
)
async def test_worker_runs__profile_it_can_not_keep__refused_before_anything_is_sent(
    net: WorkerNetwork, flag: str, value: str, setting: str
) -> None:
    with net.worker() as worker:
        await is_up(net, worker)
        n_sent = await net.sent_by(worker.account)
        told = await told_by(worker, "register", flag, value, code=1)
        assert (told["error"], told["message"].split(":")[0]) == ("SettingError", setting)
        assert "start the worker again" in told["hint"]
        assert await net.sent_by(worker.account) == n_sent


async def test_worker_is_paused__register__leaves_it_paused(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await is_up(net, worker)
        await allot_cpu(worker, 0)
        while (await net.network.coordinator.node(worker.address)).slots:  # noqa: ASYNC110 - the chain tells nothing by itself
            await asyncio.sleep(0.1)
        assert (await told_by(worker, "register", "--region", "eu"))["slots"] == 0
        assert (await net.network.coordinator.node(worker.address)).slots == 0
        refused = await told_by(worker, "serve-model", MODEL_ID, code=1)
        assert refused["message"] == "the node offers no slots now"


async def test_pause_overtakes_a_profile_that_is_on_its_way__the_node_stays_paused(
    net: WorkerNetwork,
) -> None:
    async def n_sent() -> int:
        count = await net.anvil.acall("eth_getTransactionCount", worker.address, "pending")
        return int(count, 16)

    async def until_sent(n: int) -> None:
        while await n_sent() < n:  # noqa: ASYNC110 - the chain tells nothing by itself
            await asyncio.sleep(0.1)

    with net.worker() as worker:
        await is_up(net, worker)
        await net.anvil.acall("evm_setAutomine", False)
        before = await n_sent()
        await allot_cpu(worker, 0)
        await until_sent(before + 1)  # slots are 0 in a block to come
        registering = asyncio.create_task(told_by(worker, "register", "--region", "eu"))
        await until_sent(before + 2)
        await net.anvil.acall("evm_setAutomine", True)
        await net.anvil.acall("evm_mine")
        assert (await registering)["slots"] == 64  # as the chain said when it was asked
        assert (await net.network.node_registry.node(worker.address)).profile.slots == 0


# ---------------------------------------------------------------- models


async def test_worker_runs__serve_model_after_more_stake__further_entries(
    net: WorkerNetwork,
) -> None:
    async def n_entries() -> int:
        return len(await net.network.coordinator.entries_of((await current()), 0, 100))

    async def current() -> Any:
        return (await net.network.coordinator.current_version(MODEL_ID)).current

    with net.worker() as worker:
        await is_up(net, worker)
        before = await n_entries()
        await told_by(worker, "stake", "5000")
        told = await told_by(worker, "serve-model", MODEL_ID)
        assert (told["is_served"], told["is_running"], told["version"]) == (True, True, 1)
        assert told["path"].endswith(told["model_cid"])
        assert await n_entries() > before
        said = await run_in_thread(worker, "serve-model", MODEL_ID)
        assert "worker start" not in said.stdout


async def test_worker_runs__model_without_engine__refused_before_anything_is_sent(
    net: WorkerNetwork,
) -> None:
    with net.worker() as worker:
        await is_up(net, worker)
        cid = await net.store.add_path(tiny_model_path(seed=1))
        info = ModelInfo(ModelId("other"), cid, "Other", "for tests", 0, True)
        async with sending(net.network, OWNER, net.folder) as owner:
            await owner.send(net.network.model_registry.register_model(info, TERMS), key="other")
            await owner.wait("other")
        n_sent = await net.sent_by(worker.account)
        told = await told_by(worker, "serve-model", "other", code=1)
        assert "no engine for other (version 2)" in told["message"]
        assert told["hint"] == "stop it, run `worker serve-model other`, start it again"
        assert (await told_by(worker, "serve-model", "none", code=1))["error"] == "UnknownModel"
        left = await told_by(worker, "serve-model", "other", "--leave", code=1)
        assert left["message"] == "this node does not serve other"
        assert await net.sent_by(worker.account) == n_sent


async def test_worker_runs__leaves_a_model__answers_what_it_holds_then_gives_it_up(
    net: WorkerNetwork,
) -> None:
    with net.worker(**SLOW) as worker:
        await is_up(net, worker)
        held = await generating(net, worker)
        assert (await told_by(worker, "serve-model", MODEL_ID, "--leave"))["is_served"] is False
        assert await net.network.coordinator.joined_versions(worker.address) == ()
        await net.reaches(held, JobStatus.DELIVERED)
        await worker.logged("tiny is no longer served")
        assert await models_of(worker) == []
        assert (await net.state(await net.submit())).status is JobStatus.OPEN
        assert "no engine" in (await told_by(worker, "serve-model", MODEL_ID, code=1))["message"]
        assert still_runs(worker)


async def test_worker_left_a_model__serves_it_again_before_it_is_given_up(
    patient_net: WorkerNetwork,
) -> None:
    net = patient_net
    with net.worker(**HANGS) as worker:
        await is_up(net, worker)
        await generating(net, worker)
        await told_by(worker, "serve-model", MODEL_ID, "--leave")
        await told_by(worker, "serve-model", MODEL_ID)
        await asyncio.sleep(5)  # two looks of the worker at what it may give up
        assert await net.network.coordinator.joined_versions(worker.address) == (1,)
        assert await models_of(worker) == [MODEL_ID]


async def test_worker_follows_an_update__leaving_the_model__refused(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await is_up(net, worker)
        async with sending(net.network, OWNER, net.folder) as owner:
            call = net.network.model_registry.update_model(MODEL_ID, NOWHERE)
            await owner.send(call, key="update")
            await owner.wait("update")
        n_sent = await net.sent_by(worker.account)
        for command in (("serve-model", MODEL_ID, "--leave"), ("deregister",)):
            told = await told_by(worker, *command, code=1)
            assert "on its way to version 2 of tiny" in told["message"]
        assert await net.sent_by(worker.account) == n_sent


# ---------------------------------------------------------------- deregister


async def test_worker_runs__deregister__answers_what_it_holds__and_may_register_again(
    net: WorkerNetwork,
) -> None:
    with net.worker(**SLOW) as worker:
        await is_up(net, worker)
        held = await generating(net, worker)
        told = await told_by(worker, "deregister")
        assert told.keys() == {"node", "in_flight", "tx_hash"}
        assert not (await net.network.node_registry.node(worker.address)).is_registered
        assert await net.network.coordinator.joined_versions(worker.address) == ()
        assert (await net.reaches(held, JobStatus.DELIVERED)).node == worker.address
        await worker.logged("tiny is no longer served")
        assert (await told_by(worker, "unstake", "500"))["cooling"] == "500"
        again = await told_by(worker, "register", "--endpoint", worker.url)
        assert (again["was_new"], again["slots"]) == (True, 64)
        worker.terminate()
        assert await worker.ended() == 0


async def test_worker_runs__deregister_with_a_lease_in_hand__says_when_to_stop_it(
    patient_net: WorkerNetwork,
) -> None:
    with patient_net.worker(**HANGS) as worker:
        await is_up(patient_net, worker)
        await generating(patient_net, worker)
        said = await run_in_thread(worker, "deregister")
        assert "jobs in flight: 1; stop the worker after these" in said.stdout, said.stderr
        await asyncio.sleep(5)  # two looks of the worker at what it may give up
        assert await models_of(worker) == [MODEL_ID]


async def test_deregister__no_worker_runs_and_a_lease_is_held__refused(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        await net.submit(node=worker.address)
        told = await told_by(worker, "deregister", code=1)
        assert (
            told["error"] == "NotReady"
            and told["message"].startswith("jobs in flight: 1;")
            and "worker start" in told["hint"]
        )
        assert (await net.network.node_registry.node(worker.address)).is_registered


async def test_worker_stops__its_standing_is_not_changed(patient_net: WorkerNetwork) -> None:
    net = patient_net
    with net.worker(limits={"drain_s": 900.0}, **HANGS) as worker:
        await is_up(net, worker)
        await generating(net, worker)
        worker.terminate()
        await worker.logged("stopping")
        for command in (("register",), ("serve-model", MODEL_ID, "--leave"), ("deregister",)):
            told = await told_by(worker, *command, code=1)
            assert told["message"] == "the worker is stopping"
