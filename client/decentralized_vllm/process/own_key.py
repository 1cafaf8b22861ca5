"""A program's key out of its settings: a keystore, or on local chains a raw key."""

import getpass

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.keys import (
    account_from_environment,
    account_from_key,
    load_keystore,
    read_passphrase,
)
from decentralized_vllm.process.settings_files import KeySection
from decentralized_vllm.protocol.errors import SettingError


def load_key(key: KeySection) -> LocalAccount:
    """Asks for a passphrase that no file holds. Call `check_key_may_be_raw` before it is used.

    Raises SettingError naming the setting, never showing the key.
    """
    if key.keystore is not None:
        if key.passphrase_file is not None:
            return load_keystore(key.keystore, read_passphrase(key.passphrase_file))
        return load_keystore(key.keystore, getpass.getpass(f"Passphrase of {key.keystore}: "))
    if key.private_key is not None:
        return account_from_key(key.private_key.get_secret_value())
    raise SettingError(
        "key.keystore",
        "is missing",
        hint="make a key with `dvllm wallet new`, or on a local chain set key.private_key",
    )


def check_key_may_be_raw(key: KeySection, chain_id: int) -> None:
    """Raises SettingError for a raw key on a chain whose tokens are worth something."""
    if key.keystore is None and key.private_key is not None:
        account_from_environment(key.private_key.get_secret_value(), chain_id)
