"""Settings of `dvllm`: flags before variables before the file, and mistakes told by name."""

import json

import pytest

from decentralized_vllm.cli import sources
from decentralized_vllm.cli.sources import client_settings, keystore_path, read_settings
from decentralized_vllm.protocol.errors import SettingError

ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "client.toml"
    path.write_text(f'contract_address = "{ADDRESS}"\nipfs_host = "file"\nipfs_port = 1\n')
    return path


def test_read_settings__flag_variable_and_file__in_this_order(file, monkeypatch):
    monkeypatch.setenv("DVLLM_CLIENT__IPFS_HOST", "variable")
    monkeypatch.setenv("DVLLM_CLIENT__IPFS_PORT", "2")
    settings = read_settings(str(file), devnet=False, ipfs_port=3, ipfs_host=None)
    assert (settings.contract_address, settings.ipfs_host, settings.ipfs_port) == (
        ADDRESS,
        "variable",
        3,
    )


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("chain_id = 'one'", "chain_id"),
        ("contract = '0x'", "contract"),
        ("ipfs_port = = 1", "config"),
    ],
)
def test_read_settings__broken_file__names_what_is_wrong(tmp_path, text, setting):
    path = tmp_path / "client.toml"
    path.write_text(text)
    with pytest.raises(SettingError) as caught:
        read_settings(str(path), devnet=False)
    assert caught.value.setting == setting


def test_read_settings__file_that_is_not_there__is_refused(tmp_path):
    with pytest.raises(SettingError, match="config"):
        read_settings(str(tmp_path / "none.toml"), devnet=False)


def test_client_settings__key_of_the_environment__counts_on_local_chains_only(file, monkeypatch):
    monkeypatch.setenv("DVLLM_CLIENT__PRIVATE_KEY", "0x" + "11" * 32)
    settings = client_settings(read_settings(str(file), devnet=False), needs_key=True)
    assert (settings.private_key, settings.local_key_only) == ("0x" + "11" * 32, True)
    assert "11" * 32 not in repr(settings)


def test_read_settings__devnet__leaves_what_another_network_needs(tmp_path, monkeypatch):
    path = tmp_path / "client.toml"
    path.write_text('keystore = "money.json"\nfirst_block = 20000000\nmax_top_up = "3"\n')
    network = {
        "rpc_url": "http://127.0.0.1:1",
        "ws_url": "ws://127.0.0.1:1",
        "chain_id": 31337,
        "contracts": {"coordinator": ADDRESS},
        "ipfs_api": "http://127.0.0.1:2",
        "accounts": [{"name": "requester", "private_key": "0x" + "22" * 32}],
    }
    (tmp_path / "devnet.json").write_text(json.dumps(network))
    monkeypatch.setattr(sources, "DEVNET_MANIFEST", tmp_path / "devnet.json")
    monkeypatch.setenv("DVLLM_CLIENT__PRIVATE_KEY", "")
    settings = client_settings(read_settings(str(path), devnet=True), needs_key=True)
    assert (settings.private_key, settings.keystore) == ("0x" + "22" * 32, None)
    assert (settings.first_block, settings.max_top_up) == (0, "3")
    own = read_settings(str(path), devnet=True, keystore="own.json")
    assert str(own.keystore) == "own.json"


def test_client_settings__no_key_anywhere__says_how_to_make_one(file, tmp_path):
    settings = read_settings(str(file), devnet=False, data_dir=str(tmp_path))
    with pytest.raises(SettingError, match="dvllm wallet new"):
        client_settings(settings, needs_key=True)
    assert client_settings(settings, needs_key=False).private_key is None


def test_client_settings__no_contract__is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "user_config_path", lambda _: tmp_path)
    with pytest.raises(SettingError, match="contract_address"):
        client_settings(read_settings(None, devnet=False), needs_key=False)


def test_keystore_path__is_a_setting_or_lies_in_the_data_folder(file, tmp_path):
    given = read_settings(str(file), devnet=False, keystore=str(tmp_path / "key.json"))
    assert keystore_path(given) == tmp_path / "key.json"
    default = read_settings(str(file), devnet=False, data_dir=str(tmp_path))
    assert keystore_path(default) == tmp_path / "wallet.json"


@pytest.fixture
def devnet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "user_config_path", lambda _: tmp_path)
    manifest = {
        "rpc_url": "http://127.0.0.1:8545",
        "ws_url": "ws://127.0.0.1:8545",
        "chain_id": 31337,
        "contracts": {"coordinator": ADDRESS},
        "ipfs_api": "http://127.0.0.1:5001",
        "accounts": [{"name": "requester", "address": "0x", "private_key": "0x" + "22" * 32}],
    }
    (tmp_path / ".devnet").mkdir()
    path = tmp_path / ".devnet" / "devnet.json"
    path.write_text(json.dumps(manifest))
    return path


def test_read_settings__devnet__takes_the_running_networks_addresses_and_key(devnet):
    settings = client_settings(read_settings(None, devnet=True), needs_key=True)
    assert settings.contract_address == ADDRESS
    assert (settings.ipfs_host, settings.ipfs_port) == ("127.0.0.1", 5001)
    assert settings.private_key == "0x" + "22" * 32


def test_read_settings__devnet_and_a_flag__the_flag_wins(devnet):
    settings = read_settings(None, devnet=True, ipfs_port=7)
    assert settings.ipfs_port == 7


def test_read_settings__devnet_not_running__is_told(devnet):
    devnet.unlink()
    with pytest.raises(SettingError, match="make devnet"):
        read_settings(None, devnet=True)


def test_read_settings__devnet_manifest_of_something_else__is_told(devnet):
    devnet.write_text("{}")
    with pytest.raises(SettingError, match="not a network's manifest"):
        read_settings(None, devnet=True)
