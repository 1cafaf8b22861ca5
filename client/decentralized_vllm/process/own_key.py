"""A program's key out of its settings: a keystore, or on local chains a raw key."""

import getpass
import sys
from pathlib import Path

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.keys import (
    account_from_environment,
    account_from_key,
    load_keystore,
    read_passphrase,
)
from decentralized_vllm.process.settings_files import KeySection
from decentralized_vllm.process.terminal import has_terminal
from decentralized_vllm.protocol.errors import SettingError


def load_key(key: KeySection) -> LocalAccount:
    """Asks for a passphrase that no file holds. Call `check_key_may_be_raw` before it is used.

    Raises SettingError naming the setting, never showing the key.
    """
    if key.keystore is not None:
        _check_there(key.keystore)  # before somebody types a passphrase for nothing
        return load_keystore(key.keystore, _passphrase(key, key.keystore))
    if key.private_key is not None:
        return account_from_key(key.private_key.get_secret_value())
    raise SettingError(
        "key.keystore",
        "is missing",
        hint="make a key with `dvllm wallet new`, or on a local chain set key.private_key",
    )


def _check_there(keystore: Path) -> None:
    if not keystore.is_file():
        raise SettingError(
            "key.keystore",
            f"there is no file {keystore}",
            hint="make a key with `dvllm wallet new`, or name another file",
        )


def _passphrase(key: KeySection, keystore: Path) -> str:
    if key.passphrase_file is not None:
        return read_passphrase(key.passphrase_file)
    piped = _line_from_a_pipe(keystore)
    if piped:
        return piped
    if not has_terminal():
        variable = f"{key.variable_prefix}KEY__PASSPHRASE_FILE"
        raise SettingError(
            "key.passphrase_file",
            f"is missing, and there is no terminal to ask for the passphrase of {keystore}",
            hint=f"name the file that holds it, also as the variable {variable}, or pipe it in",
        )
    return getpass.getpass(f"Passphrase of {keystore}: ")


def _line_from_a_pipe(keystore: Path) -> str:
    """The first line of an input that nobody types; empty where there is none.

    Raises SettingError.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    # A pipe that nobody writes to keeps us waiting: say for what.
    print(f"Passphrase of {keystore}: read from the standard input", file=sys.stderr)
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError("passphrase", "can not be read from the standard input") from error


def check_key_may_be_raw(key: KeySection, chain_id: int) -> None:
    """Raises SettingError for a raw key on a chain whose tokens are worth something."""
    if key.keystore is None and key.private_key is not None:
        account_from_environment(key.private_key.get_secret_value(), chain_id)
