"""The way in, by the commands an operator types; and what they say when something is wrong."""

import json
from pathlib import Path

from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.worker_network import MODEL_ID, WorkerNetwork
from tests.support.worker_process import run_in_thread


async def test_way_in__register_stake_serve_start__answers_and_withdraws(
    net: WorkerNetwork,
) -> None:
    with net.worker(node={"pause_when_stopped": True, "settle_every_s": 0}) as worker:
        await net.fund(worker)
        for arguments in (
            ("register", "--endpoint", worker.url, "--json"),
            ("stake", "2000", "--json"),
            ("serve-model", MODEL_ID, "--json"),
        ):
            done = await run_in_thread(worker, *arguments)
            assert done.returncode == 0, done.stderr + done.stdout
            assert json.loads(done.stdout)["node"] == worker.address
        worker.start()
        await worker.on_duty()
        job_id = await net.submit()
        await net.reaches(job_id, JobStatus.DELIVERED)
        status = json.loads((await run_in_thread(worker, "status", "--json")).stdout)
        assert status["chain"]["stake"] == "2000"
        assert status["process"]["slots"] == 64
        jobs = json.loads((await run_in_thread(worker, "jobs", "--json")).stdout)["jobs"]
        assert [entry["job_id"] for entry in jobs] == [str(job_id)]
        worker.terminate()
        assert await worker.ended() == 0
        await net.pass_time(3 * net.network.clocks.epoch_s)
        before_wei = await net.network.token.balance(worker.address)
        done = await run_in_thread(worker, "withdraw", "--json")
        assert done.returncode == 0, done.stdout
        earned_wei = await net.network.token.balance(worker.address) - before_wei
        assert earned_wei == json.loads(done.stdout)["amount_wei"] > 0
        done = await run_in_thread(worker, "unstake", "500", "--json")
        assert done.returncode == 0, done.stdout
        await net.pass_time(net.network.clocks.cool_down_s + 1)
        done = await run_in_thread(worker, "withdraw", "--stake", "--json")
        assert json.loads(done.stdout)["amount"] == "500"
        done = await run_in_thread(worker, "deregister", "--json")
        assert done.returncode == 0, done.stdout
        assert not (await net.network.node_registry.node(worker.address)).is_registered


WRONG_SETTINGS = [
    ("chain", {"eth_node_url": ["http://127.0.0.1:9"]}, "chain.eth_node_url"),
    ("chain", {"chain_id": 1}, "chain.eth_node_url"),
    ("chain", {"contract_address": ""}, "chain.contract_address"),
    ("chain", {"contract_address": "0x" + "11" * 20}, "chain.contract_address"),
    ("chain", {"contract_address": "nonsense"}, "chain.contract_address"),
    ("key", {"private_key": "0x12"}, "key.private_key"),
    ("node", {"slots": 0}, "node.slots"),
    ("http", {"nonsense": 1}, "http.nonsense"),
]


async def test_start__wrong_setting__named_in_one_line(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        for section, fields, told in WRONG_SETTINGS:
            right = worker.sections
            worker.change(section, **fields)
            done = await run_in_thread(worker, "start")
            assert (done.returncode, told in done.stderr) == (1, True), done.stderr
            assert "Traceback" not in done.stderr
            worker.sections = right
        worker.change("chain", contract_address=net.network.token.address)
        done = await run_in_thread(worker, "start")
        assert "is not the InferenceCoordinator of this release" in done.stderr


async def test_register__texts_that_nobody_can_use__refused_before_they_are_on_chain(
    net: WorkerNetwork,
) -> None:
    with net.worker() as worker:
        await net.fund(worker)
        for flag, text in (("--endpoint", "node.example:8090"), ("--region", "x" * 65)):
            done = await run_in_thread(worker, "register", flag, text)
            assert (done.returncode, f"{flag}: is " in done.stderr) == (1, True), done.stderr
        assert not (await net.network.node_registry.node(worker.address)).is_registered


async def test_start__before_each_step__names_the_command_to_run(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.fund(worker)
        assert "worker register" in (await run_in_thread(worker, "start")).stderr
        await run_in_thread(worker, "register")
        assert "worker stake" in (await run_in_thread(worker, "start")).stderr
        await run_in_thread(worker, "stake", "2000")
        assert "worker serve-model" in (await run_in_thread(worker, "start")).stderr


async def test_blocks_too_slow_for_the_lease__named_before_jobs_are_handed_back(
    hurried_net: WorkerNetwork,
) -> None:
    net = hurried_net
    with net.worker(chain={"block_time_s": 15.0}) as worker:
        await net.enlist(worker)
        for arguments in (("start",), ("serve-model", MODEL_ID)):
            done = await run_in_thread(worker, *arguments)
            assert (done.returncode, "Error: chain.block_time_s: " in done.stderr) == (1, True)
        assert not list((worker.folder / "data").glob("models/b*"))  # nothing was fetched
        done = await run_in_thread(worker, "serve-model", MODEL_ID, "--leave")
        assert done.returncode == 0, done.stderr


async def test_start__no_gas_money__said_plainly(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        await net.anvil.acall("anvil_setBalance", worker.address, "0x0")
        done = await run_in_thread(worker, "start")
        assert "nothing to pay for gas" in done.stderr


async def test_start__engine_that_can_never_work__ends_and_names_the_setting(
    net: WorkerNetwork,
) -> None:
    with net.worker(engine={"kind": "vllm", "python": "/no/such/python"}) as worker:
        await net.enlist(worker)
        worker.start()
        assert await worker.ended() == 1
        assert "Error: engine.python: /no/such/python is no Python that runs" in worker.log_text()
        assert "Traceback" not in worker.log_text()


async def test_commands__data_dir_that_is_none__is_named(
    net: WorkerNetwork, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "worker.sqlite").mkdir(parents=True)
    with net.worker() as worker:
        for folder in ("file", "folder"):
            worker.change("", data_dir=str(tmp_path / folder))
            done = await run_in_thread(worker, "jobs")
            assert (done.returncode, done.stderr[:17]) == (1, "Error: data_dir: ")


async def test_start__of_data_dir_something_can_not_be_used__named_in_one_line(
    net: WorkerNetwork,
) -> None:
    """Such as a link to a disk that is not mounted."""
    with net.worker() as worker:
        await net.enlist(worker)
        models, allotted = (worker.folder / "data" / name for name in ("models", "resources.json"))
        models.parent.mkdir(parents=True)
        models.symlink_to(worker.folder / "not mounted")
        for arguments in (("start",), ("serve-model", MODEL_ID)):
            done = await run_in_thread(worker, *arguments)
            assert (done.returncode, done.stderr) == (
                1,
                f"Error: data_dir: {models} is not a folder\n",
            )
        models.unlink()
        allotted.mkdir()
        done = await run_in_thread(worker, "start")
        assert f"Error: data_dir: {allotted} cannot be read: " in done.stderr
        assert "Traceback" not in done.stderr


async def test_serve_model__unknown__said_plainly(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        done = await run_in_thread(worker, "serve-model", "no-such-model")
        assert done.returncode == 1
        assert "no-such-model" in done.stderr


async def test_serve_model__gateway_that_may_not_be_read__names_the_setting_and_says_it_once(
    net: WorkerNetwork,
) -> None:
    with net.worker(content={"allow_private_addresses": False}) as worker:
        await net.enlist(worker)
        for gateways, told in (
            ([net.server.gateway_url], "content.allow_private_addresses = true"),
            (
                [net.server.gateway_url.replace("127.0.0.1", "localhost")],
                "private_addresses = true",
            ),
            ([], "set content.gateways"),
        ):
            worker.change("content", gateways=gateways)
            done = await run_in_thread(worker, "serve-model", MODEL_ID)
            assert (done.returncode, told in done.stderr) == (1, True), done.stderr
            assert done.stderr.count("no source has") == 1


async def test_doctor__passphrase_that_opens_nothing__said(
    net: WorkerNetwork, tmp_path: Path
) -> None:
    keystore, passphrase = tmp_path / "key.json", tmp_path / "passphrase"
    with net.worker() as worker:
        keystore.write_text(json.dumps(worker.account.encrypt("right", kdf="pbkdf2", iterations=2)))
        for text, is_ok in (("wrong", False), ("right", True)):
            passphrase.write_text(text)
            worker.sections = {
                **worker.sections,
                "key": {"keystore": str(keystore), "passphrase_file": str(passphrase)},
            }
            await net.fund(worker)
            done = await run_in_thread(worker, "doctor", "--json")
            checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
            assert checks["key"]["is_ok"] == is_ok, checks["key"]


async def test_doctor__coordinator_missing_or_wrong__looks_at_the_key_all_the_same(
    net: WorkerNetwork,
) -> None:
    with net.worker() as worker:
        await net.fund(worker)
        for address in ("", "nonsense", "0x" + "11" * 20):
            worker.change("chain", contract_address=address)
            done = await run_in_thread(worker, "doctor", "--json")
            checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
            assert "chain.contract_address" in checks["chain"]["finding"]
            assert checks["key"]["is_ok"], checks["key"]
            assert worker.address in checks["key"]["finding"]


async def test_doctor__nothing_done_yet__lists_the_mends(net: WorkerNetwork) -> None:
    with net.worker(engine={"kind": "transformers"}) as worker:
        done = await run_in_thread(worker, "doctor", "--json")
        report = json.loads(done.stdout)
        assert done.returncode == 1
        mends = [mend for check in report["checks"] for mend in check["mends"]]
        assert "worker register" in mends
        assert "worker serve-model MODEL_ID" in mends
        assert not report["is_ok"]
