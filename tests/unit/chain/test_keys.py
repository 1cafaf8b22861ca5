"""Keys on disk and in the environment, and that none of them is ever shown."""

import stat
from pathlib import Path

import pytest

from decentralized_vllm.chain.keys import (
    account_from_environment,
    account_from_key,
    keystore_address,
    load_keystore,
    new_key,
    read_passphrase,
    save_keystore,
)
from decentralized_vllm.chain.signing import TransactionSigner
from decentralized_vllm.protocol.errors import SettingError

KEY = "0x" + "11" * 32


def test_keystore__saved_and_loaded__same_key_for_the_owner_only(tmp_path: Path) -> None:
    account, path = new_key(), tmp_path / "keys" / "one.json"
    save_keystore(account, "open sesame", path)
    assert load_keystore(path, "open sesame").key == account.key
    assert keystore_address(path).lower() == account.address.lower()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keystore__wrong_passphrase__names_passphrase_and_file(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    save_keystore(new_key(), "open sesame", path)
    with pytest.raises(SettingError, match=r"passphrase: does not open .*one\.json"):
        load_keystore(path, "sesame")


def test_keystore__file_exists__never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("mine")
    with pytest.raises(SettingError, match="exists already"):
        save_keystore(new_key(), "x", path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 3}'])
def test_keystore__no_keystore_in_the_file__setting_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "one.json"
    path.write_text(content)
    with pytest.raises(SettingError):
        load_keystore(path, "x")
    with pytest.raises(SettingError):
        keystore_address(path)


def test_environment_key__public_chain__refused(tmp_path: Path) -> None:
    assert account_from_environment(KEY, 31337).key == bytes.fromhex("11" * 32)
    with pytest.raises(SettingError, match="local chains only") as caught:
        account_from_environment(KEY, 1)
    assert "11" * 8 not in str(caught.value)


@pytest.mark.parametrize("key", ["", "0x12", "zz" * 32, "22" * 33, "00" * 32])
def test_raw_key__not_a_key__told_without_repeating_it(key: str) -> None:
    with pytest.raises(SettingError, match="private_key") as caught:
        account_from_key(key)
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None


def test_key__shown__in_no_repr() -> None:
    account = account_from_key(KEY)
    for shown in (repr(account), str(account), repr(TransactionSigner(account, 1))):
        assert "1111" not in shown


def test_passphrase__first_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pass"
    path.write_text("open sesame\nand more\n")
    assert read_passphrase(path) == "open sesame"
    path.write_text("\n")
    with pytest.raises(SettingError, match="passphrase_file"):
        read_passphrase(path)
    with pytest.raises(SettingError, match="passphrase_file"):
        read_passphrase(tmp_path / "none")
