"""Settings of a worker and what its doctor and its signals make of them."""

from pathlib import Path

import pytest

from decentralized_vllm.process.stopping import StopSignals
from decentralized_vllm.protocol.errors import (
    SettingError,
)
from dvllm_worker.doctor import check_content, check_disk
from dvllm_worker.settings import load_settings


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CHAIN__CONTRACT_ADDRESS", "CHAIN__ETH_NODE_URL", "NODE__SLOTS"):
        monkeypatch.delenv(f"DVLLM_WORKER__{name}", raising=False)
    path = tmp_path / "worker.toml"
    path.write_text('[chain]\ncontract_address = "0xfile"\n[node]\nslots = 3\n')
    return path


def test_settings__file_then_environment_then_flags(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(toml, {}).chain.contract_address == "0xfile"
    monkeypatch.setenv("DVLLM_WORKER__CHAIN__CONTRACT_ADDRESS", "0xenvironment")
    monkeypatch.setenv("DVLLM_WORKER__CHAIN__ETH_NODE_URL", "http://a, http://b")
    settings = load_settings(toml, {})
    assert settings.chain.contract_address == "0xenvironment"
    assert settings.chain.eth_node_url == ("http://a", "http://b")
    assert settings.node.slots == 3
    flags = {"chain": {"contract_address": "0xflag"}}
    assert load_settings(toml, flags).chain.contract_address == "0xflag"


def test_settings__wrong_field__named_without_its_value(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVLLM_WORKER__NODE__SLOTS", "hunter2")
    with pytest.raises(SettingError, match=r"node\.slots") as caught:
        load_settings(toml, {})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "trouble"),
    [
        ("endpoint", "node.example:8090", "not an http"),
        ("endpoint", "https://node example", "not an http"),
        ("endpoint", "http://[::1", "not an http"),
        ("endpoint", "http://", "not an http"),
        ("endpoint", "https://node.example:443", "the port that https has anyway"),
        ("endpoint", "https://node.example?a=b", "no user, query"),
        ("endpoint", "https://me@node.example", "no user, query"),
        ("endpoint", "https://" + "a" * 249, "256 bytes"),
        ("region", "ä" * 33, "64 bytes"),
    ],
)
def test_settings__what_callers_or_the_registry_can_not_take__refused(
    toml: Path, name: str, value: str, trouble: str
) -> None:
    with pytest.raises(SettingError, match=trouble) as caught:
        load_settings(toml, {"node": {name: value}})
    assert caught.value.setting == f"node.{name}"


@pytest.mark.parametrize("endpoint", ["", "https://node.example", "http://[::1]:8090/a"])
def test_settings__endpoint_that_callers_can_take__kept(toml: Path, endpoint: str) -> None:
    assert load_settings(toml, {"node": {"endpoint": endpoint}}).node.endpoint == endpoint


def test_settings__no_such_file__named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--config"):
        load_settings(tmp_path / "none.toml", {})


def test_doctor__folder_that_does_not_exist_yet__looks_at_its_parent(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "a" / "b").name == "disk"


async def test_doctor__no_gateways__says_what_to_set(toml: Path) -> None:
    check = await check_content(load_settings(toml, {}))
    assert "content.gateways" in check.mends[0]


def test_stop_signals__first_drains_second_ends() -> None:
    stops = StopSignals()
    stops.request()
    assert stops.drain.is_set() and not stops.at_once.is_set()
    stops.request()
    assert stops.at_once.is_set()
