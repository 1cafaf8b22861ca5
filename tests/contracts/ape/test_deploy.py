"""`ape run deploy`: what it puts where, and the record it keeps."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import _build
import click
import pytest
from _build import built_calls, known_calls, require_current_build
from _record import read_record, require_free, write_entry
from _token import require_token
from ape import project
from exports import ROOT

ELSEWHERE = {"chain_id": 11155111, "contracts": {"token": {"address": "0x01"}}}


def test_deployment__by_the_plan__contracts_know_each_other(market, record, owner):
    coordinator = market.coordinator
    assert coordinator.modelRegistry() == record["model_registry"]["address"]
    assert coordinator.nodeRegistry() == record["node_registry"]["address"]
    assert coordinator.token() == record["token"]["address"]
    assert market.model_registry.coordinator() == coordinator.address
    assert market.node_registry.coordinator() == coordinator.address
    assert market.model_registry.owner() == owner.address
    assert market.token.balanceOf(owner) == market.token.totalSupply()


def test_deployment__by_the_plan__record_names_block_transaction_and_arguments(
    record, market, chain
):
    for step, contract in record.items():
        receipt = chain.provider.get_receipt(contract["transaction"])
        assert receipt.block_number == contract["block"]
        assert receipt.contract_address == contract["address"], step
    arguments = record["coordinator"]["arguments"]["c"]
    assert arguments["token"] == record["token"]["address"]
    assert arguments["stakeUnit"] == market.coordinator.stakeUnit()
    assert json.loads(json.dumps(record)) == record


NAMES = ["InferenceCoordinator", "ModelRegistry", "NodeProfileRegistry", "NetworkToken"]


@pytest.mark.parametrize("name", NAMES)
def test_build__by_ape__answers_all_that_the_record_s_abi_says(name):
    """And nothing else: `abi_hash` is that of the exported ABI. The office has the other half."""
    assert built_calls(name) == known_calls(name)
    assert built_calls(name)


def test_build__of_older_contracts__is_refused_before_anything_is_deployed(monkeypatch):
    """As ape keeps it where only what a contract imports has changed."""
    require_current_build({*NAMES, "CoordinatorOffice"})
    older = project.get_contract("InferenceCoordinator").contract_type.model_copy(
        update={"abi": project.get_contract("InferenceCoordinator").contract_type.abi[:-1]}
    )
    monkeypatch.setattr(_build, "HALVES", {"InferenceCoordinator": ("Old", "CoordinatorOffice")})
    monkeypatch.setattr(_build, "project", Builds({"Old": older}))
    with pytest.raises(click.ClickException, match=r"InferenceCoordinator.*remove \.build"):
        require_current_build(set(NAMES))


class Builds:
    """ape's project, with some builds of another day."""

    def __init__(self, others):
        self._others = others

    def get_contract(self, name):
        if name in self._others:
            return SimpleNamespace(contract_type=self._others[name])
        return project.get_contract(name)


def test_record__other_chains_entry__is_kept(tmp_path):
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps({"11155111": ELSEWHERE}))
    write_entry(path, 31337, {})
    record = json.loads(path.read_text())
    assert record == {"11155111": ELSEWHERE, "31337": {"chain_id": 31337, "contracts": {}}}
    assert [p.name for p in tmp_path.iterdir()] == ["deployment.json"]


def test_record__own_entry_exists__is_refused_unless_told(tmp_path):
    with pytest.raises(click.UsageError, match="11155111"):
        require_free({"11155111": ELSEWHERE}, 11155111, False)
    require_free({"11155111": ELSEWHERE}, 11155111, True)
    require_free({"11155111": ELSEWHERE}, 1, False)


def test_record__no_json__is_refused(tmp_path):
    path = tmp_path / "deployment.json"
    path.write_text("{")
    with pytest.raises(click.ClickException, match=r"deployment\.json"):
        read_record(path)


def test_token__network_s_own__is_taken(market):
    require_token(market.token.address)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("0x", "there is no contract"),
        ("0x60006000fd", "does not tell its decimals"),  # reverts whatever it is asked
        ("0x600660005260206000f3", "has 6 decimals"),  # answers 6 to everything
    ],
)
def test_token__that_can_not_pay__is_refused(market, chain, code, reason):
    address = "0x0000000000000000000000000000000000012345"
    chain.provider.make_request("anvil_setCode", [address, code])
    with pytest.raises(click.UsageError, match=reason):
        require_token(address)


def test_command__twice__second_is_refused_and_the_record_stands(tmp_path):
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps({"11155111": ELSEWHERE}))
    first = deploy_command(path)
    assert first.returncode == 0, first.stderr
    text = path.read_text()
    record = json.loads(text)
    (chain_id,) = record.keys() - {"11155111"}
    assert record["11155111"] == ELSEWHERE
    assert set(record[chain_id]["contracts"]) == {
        "token",
        "coordinator",
        "model_registry",
        "node_registry",
    }

    second = deploy_command(path)
    assert second.returncode != 0
    assert f"chain {chain_id} has a deployment on record" in second.stderr
    assert path.read_text() == text


def deploy_command(path: Path) -> subprocess.CompletedProcess[str]:
    """On a chain of its own, as a person types it."""
    ape = Path(sys.executable).with_name("ape")
    command = [ape, "run", "deploy", "--network", "ethereum:local:foundry", "--output", path]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
