from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_devnet.settings import for_demo, load_settings, with_workers

SHIPPED = Path(__file__).parents[3] / "devnet.toml"


@pytest.fixture
def settings():
    return load_settings(SHIPPED)


def test_shipped_file__has_the_documented_ports(settings):
    assert settings.chain.port == 8545
    assert settings.content.api_port == 5001
    assert settings.content.gateway_port == 8081


def test_amounts__are_wei(settings):
    assert settings.terms.flat_fee == 10**16


def test_environment__overrides_one_field_of_a_section(monkeypatch):
    monkeypatch.setenv("DVLLM_DEVNET__CHAIN__PORT", "8600")
    settings = load_settings(SHIPPED)
    assert (settings.chain.port, settings.chain.chain_id) == (8600, 31337)


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("CHAIN__PORT", "70000", "chain.port"),
        ("WORKERS__STAKE", "-1", "workers.stake"),
        ("CLOCKS__MAX_ATTEMPTS", "9", "clocks.max_attempts"),
        ("MODEL__SOURCE", "gpt", "model.source"),
    ],
)
def test_bad_value__is_refused_by_the_settings_name(monkeypatch, name, value, setting):
    monkeypatch.setenv(f"DVLLM_DEVNET__{name}", value)
    with pytest.raises(SettingError) as caught:
        load_settings(SHIPPED)
    assert caught.value.setting == setting


def test_missing_file__is_named(tmp_path):
    with pytest.raises(SettingError, match=r"devnet\.toml is missing"):
        load_settings(tmp_path / "devnet.toml")


def test_unreadable_file__is_named(tmp_path):
    broken = tmp_path / "devnet.toml"
    broken.write_text("[chain")
    with pytest.raises(SettingError, match="--config"):
        load_settings(broken)


def test_ports__name_every_worker(settings):
    ports = with_workers(settings, 3).ports
    assert ports["workers.first_port (worker-3)"] == settings.workers.first_port + 2
    assert len(ports) == 10


def test_ports__without_a_gateway__are_the_others(settings):
    assert not any(name.startswith("gateway.") for name in for_demo(settings).ports)


def test_for_demo__has_two_workers_and_its_own_clocks(settings):
    demo = for_demo(with_workers(settings, 5))
    assert demo.workers.count == 2
    assert demo.clocks.lease_s == settings.demo.lease_s < settings.clocks.lease_s
    assert demo.clocks.grace_s == settings.clocks.grace_s


@pytest.mark.parametrize("count", [0, 33])
def test_with_workers__out_of_range__is_refused(settings, count):
    with pytest.raises(SettingError, match="--workers"):
        with_workers(settings, count)
