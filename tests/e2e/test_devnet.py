"""A local network as another program uses it: found by devnet.json, restarted, killed, wiped."""

import os
import signal
import socket
from contextlib import ExitStack, contextmanager

import pytest
import requests
from pydantic_core import from_json
from web3 import HTTPProvider, Web3
from web3.logs import DISCARD

from decentralized_vllm import Client
from decentralized_vllm.chain.codec import exported_contract
from dvllm_devnet.accounts import make_cast
from tests.support.devnet_process import (
    TINY_MODEL,
    DevnetProcess,
    free_port_settings,
    running,
    still_alive,
)

DELIVERED = 3


def make_env():
    return {**os.environ, **TINY_MODEL, **free_port_settings(), "ENGINE": "null", "WORKERS": "1"}


@pytest.fixture
def env():
    return make_env()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One running network of two workers, for tests that leave it as it is."""
    env = {**make_env(), "WORKERS": "2"}
    with running(tmp_path_factory.mktemp("shared") / "net", "up", env=env) as devnet:
        devnet.wait_for_manifest()
        yield devnet


@pytest.fixture
def manifest(shared):
    return shared.wait_for_manifest()


def up(tmp_path, env, *arguments):
    return running(tmp_path / "net", "up", *arguments, env=env)


def client_of(manifest, data_dir):
    return Client(
        eth_node_url=manifest.rpc_url,
        contract_address=manifest.contracts.coordinator,
        private_key=key_of(manifest, "requester"),
        ipfs_host="127.0.0.1",
        ipfs_port=int(manifest.ipfs_api.rpartition(":")[2]),
        data_dir=data_dir,
    )


def key_of(manifest, name):
    return next(a.private_key for a in manifest.accounts if a.name == name)


def answer_one(manifest, data_dir):
    """The id of a job that was submitted and answered just now."""
    with client_of(manifest, data_dir) as client:
        task = client.submit_task("one two", "tiny", max_tokens=4)
        assert client.wait_for_completion(task.id, timeout=60).response
        return task.id


@contextmanager
def coordinator_of(manifest):
    """The contract by web3 and its ABI, past our own library."""
    session = requests.Session()
    web3 = Web3(HTTPProvider(manifest.rpc_url, session=session))
    abi = exported_contract("InferenceCoordinator")["abi"]
    with session:
        yield web3, web3.eth.contract(address=manifest.contracts.coordinator, abi=abi)


def test_manifest__of_two_workers__has_the_documented_fields(shared):
    fields = from_json((shared.home / "devnet.json").read_bytes())
    assert set(fields) == {
        "rpc_url",
        "ws_url",
        "chain_id",
        "contracts",
        "ipfs_api",
        "ipfs_gateway",
        "accounts",
        "models",
        "gateway",
        "api_key",
    }
    assert set(fields["gateway"]) == {"url", "dvllm_url", "dvllm_ws_url"}
    assert fields["chain_id"] == 31337
    assert fields["ws_url"] == fields["rpc_url"].replace("http", "ws")
    assert [account["name"] for account in fields["accounts"]] == [
        "deployer",
        "requester",
        "gateway",
        "worker-1",
        "worker-2",
    ]
    assert fields["accounts"][0]["address"] == make_cast(1).deployer.address
    assert [(model["id"], model["name"]) for model in fields["models"]] == [("tiny", "Tiny")]


def test_bare_submit__by_abi_alone__is_answered(manifest, tmp_path):
    with client_of(manifest, tmp_path) as client, coordinator_of(manifest) as (web3, coordinator):
        # Publishes the prompt, whose CID is then asked for again without the library.
        prompt_cid = client.submit_task("hello there", "tiny", max_tokens=4).prompt_cid
        account = web3.eth.account.from_key(key_of(manifest, "requester"))
        submit = coordinator.functions.submitPrompt(prompt_cid, "tiny")
        nonce = web3.eth.get_transaction_count(account.address)
        fields = submit.build_transaction({"from": account.address, "nonce": nonce})
        raw = account.sign_transaction(fields).raw_transaction
        receipt = web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw))
        assert receipt["status"] == 1
        (event,) = coordinator.events.InferenceRequested().process_receipt(receipt, errors=DISCARD)
        assert event["args"]["promptCID"] == prompt_cid
        assert client.wait_for_completion(event["args"]["jobId"], timeout=60).response


def test_gateway__with_the_key_of_the_manifest__answers_a_chat(manifest):
    reply = requests.post(
        f"{manifest.gateway.url}/v1/chat/completions",
        json={"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4},
        headers={"Authorization": f"Bearer {manifest.api_key}"},
        timeout=60,
    )

    assert reply.status_code == 200, reply.text
    assert reply.json()["choices"][0]["message"]["content"]


def test_gateway__shows_and_sets_the_resources_of_a_worker(manifest):
    own = {"Authorization": f"Bearer {manifest.api_key}"}
    url = f"{manifest.gateway.dvllm_url}/api/resources"
    shown = requests.get(url, headers=own, timeout=10)
    allotted = requests.post(url, json={"cpu": 10.0}, headers=own, timeout=10)

    assert set(shown.json()) == {"allocation", "usage", "limits"}
    assert allotted.status_code == 200, allotted.text
    assert allotted.json()["allocation"]["cpu"] == 10.0


def allot(manifest, cpu):
    own = {"Authorization": f"Bearer {manifest.api_key}"}
    url = f"{manifest.gateway.dvllm_url}/api/resources"
    assert requests.post(url, json={"cpu": cpu}, headers=own, timeout=10).status_code == 200


def test_worker_without_a_share__network_starts_again_and_says_so(tmp_path, env):
    with up(tmp_path, env) as devnet:
        allot(devnet.wait_for_manifest(), 0)
        assert devnet.end(signal.SIGTERM) == 0
    with up(tmp_path, env) as devnet:
        manifest = devnet.wait_for_manifest()
        assert "worker-1 takes no jobs: a share of 0 percent is allotted" in devnet.out
        allot(manifest, 100)
        answer_one(manifest, tmp_path / "client")


def test_two_networks__born_at_once_with_the_same_keys__both_become_ready(tmp_path):
    homes = [tmp_path / name / "net" for name in ("one", "two")]
    with ExitStack() as stack:
        for home in homes:
            home.parent.mkdir()
        networks = [stack.enter_context(running(home, "up", env=make_env())) for home in homes]
        first, second = (network.wait_for_manifest() for network in networks)
        assert first.accounts == second.accounts
        assert first.rpc_url != second.rpc_url


def test_second_network__in_the_same_folder__is_refused(shared):
    env = {**make_env(), "WORKERS": "2"}
    second = DevnetProcess(shared.home, ("up",), env, name="second")
    assert second.process.wait(timeout=60) == 1
    assert "already runs" in second.err
    assert (shared.home / "devnet.json").exists()


def test_life_of_a_network__stopped_killed_and_wiped__is_usable_each_time(tmp_path, env):
    data = tmp_path / "client"
    with up(tmp_path, env) as devnet:
        first = devnet.wait_for_manifest()
        job_id = answer_one(first, data)
        assert devnet.end(signal.SIGTERM) == 0
        assert not (devnet.home / "devnet.json").exists()

    with up(tmp_path, env) as devnet:  # everything is still there
        assert devnet.wait_for_manifest() == first
        assert answer_one(first, data) == job_id + 1
        with coordinator_of(first) as (_, coordinator):
            assert coordinator.functions.job(job_id).call()[4] == DELIVERED
        family = devnet.family()
        assert len(family) >= 4  # itself, chain, content store, worker
        devnet.end(signal.SIGKILL)
        assert still_alive(family) == []

    with up(tmp_path, env) as devnet:  # also after being killed
        assert devnet.wait_for_manifest() == first
        assert "was killed" in devnet.out
        assert answer_one(first, data) > job_id

    with (  # unless it is to be forgotten
        up(tmp_path, {**env, "FRESH": "1"}) as devnet,
        coordinator_of(devnet.wait_for_manifest()) as (_, coordinator),
    ):
        assert coordinator.functions.jobCount().call() == 0


@pytest.mark.parametrize(
    "setting", ["chain.port", "content.api_port", "content.gateway_port", "gateway.unified_port"]
)
def test_port_taken__is_said_with_the_setting_and_nothing_starts(tmp_path, env, setting):
    port = int(env[f"DVLLM_DEVNET__{setting.upper().replace('.', '__')}"])
    with socket.create_server(("127.0.0.1", port)):
        devnet = DevnetProcess(tmp_path / "net", ("up",), env)
        assert devnet.process.wait(timeout=60) == 1
    assert f"{setting}: port {port} is in use" in devnet.err
    assert "Traceback" not in devnet.err
    assert not (tmp_path / "net" / "devnet.json").exists()


def test_sigterm__while_it_starts__leaves_nothing(tmp_path, env):
    with up(tmp_path, env) as devnet:
        devnet.wait_for_text("coordinator at")
        family = devnet.family()
        assert devnet.end(signal.SIGTERM) == 0
        assert still_alive(family) == []


def test_chain_dies__network_ends_and_says_why(tmp_path, env):
    with up(tmp_path, env) as devnet:
        devnet.wait_for_manifest()
        family = devnet.family()
        next(process for process in family if process.name() == "anvil").kill()
        assert devnet.process.wait(timeout=60) == 1
        assert still_alive(family) == []
    assert "chain ended with exit code" in devnet.err
