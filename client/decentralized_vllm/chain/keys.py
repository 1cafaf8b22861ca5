"""Keys on disk (keystore v3) and raw keys, which only local chains accept from the environment."""

import json
import os
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.exceptions import ValidationError
from pydantic_core import from_json

from decentralized_vllm.chain.identity import LOCAL_CHAIN_IDS
from decentralized_vllm.protocol.errors import SettingError


def new_key() -> LocalAccount:
    account: LocalAccount = Account.create()
    return account


def account_from_key(private_key: str) -> LocalAccount:
    """From 64 hex digits. Raises SettingError, whose text never holds the key."""
    try:
        account: LocalAccount = Account.from_key(private_key.strip())
    except (ValueError, ValidationError):
        raise SettingError(
            "private_key", "is not a private key", hint="64 hex digits, with or without 0x"
        ) from None
    return account


def account_from_environment(private_key: str, chain_id: int) -> LocalAccount:
    """A raw key outside a keystore leaks too easily to be worth money. Raises SettingError."""
    if chain_id not in LOCAL_CHAIN_IDS:
        raise SettingError(
            "private_key",
            f"raw keys are accepted on local chains only, not on chain {chain_id}",
            hint="put the key into a keystore with `dvllm wallet import`",
        )
    return account_from_key(private_key)


def save_keystore(account: LocalAccount, passphrase: str, path: Path) -> None:
    """Writes a new file that only its owner can read. Raises SettingError if it exists."""
    keystore = json.dumps(account.encrypt(passphrase))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingError("keystore", f"{path} exists already") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(keystore)
        file.flush()
        os.fsync(file.fileno())


def keystore_address(path: Path) -> str:
    """The address a keystore states, without its passphrase. Raises SettingError."""
    address = _read_keystore(path).get("address")
    if not isinstance(address, str):
        raise SettingError("keystore", f"{path} states no address")
    return address if address.startswith("0x") else f"0x{address}"


def load_keystore(path: Path, passphrase: str) -> LocalAccount:
    """Raises SettingError for an unreadable file and for a wrong passphrase."""
    keystore = _read_keystore(path)
    try:
        key = Account.decrypt(keystore, passphrase)
    except (ValueError, KeyError, TypeError):
        raise SettingError("passphrase", f"does not open {path}") from None
    account: LocalAccount = Account.from_key(key)
    return account


def read_passphrase(path: Path) -> str:
    """The first line of a file. Raises SettingError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("passphrase_file", f"{path} can not be read") from error
    if not lines or not lines[0]:
        raise SettingError("passphrase_file", f"{path} is empty")
    return lines[0]


def _read_keystore(path: Path) -> dict[str, Any]:
    try:
        keystore = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingError("keystore", f"{path} can not be read as a keystore") from error
    if not isinstance(keystore, dict):
        raise SettingError("keystore", f"{path} is not a keystore")
    return keystore
