"""What the commands about the key itself do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from decentralized_vllm.chain.keys import keystore_address, save_keystore
from decentralized_vllm.cli.output import show
from decentralized_vllm.cli.running import fail
from decentralized_vllm.cli.sources import keystore_path, passphrase, read_settings
from decentralized_vllm.protocol.errors import DvllmError, SettingError


def keep_and_show(
    make: Callable[[], LocalAccount], options: dict[str, Any], *, as_json: bool
) -> None:
    """Ends the process on a DvllmError, before it asks for a passphrase in vain."""
    try:
        settings = read_settings(devnet=False, **options)
        path = keystore_path(settings)
        if path.exists():
            raise SettingError("keystore", f"{path} exists already", hint="give another file")
        account = make()
        save_keystore(account, passphrase(settings, confirm=True), path)
    except DvllmError as error:
        fail(error, as_json=as_json)
    _show(account.address, path, as_json=as_json)


def show_address(options: dict[str, Any], *, as_json: bool) -> None:
    try:
        path = keystore_path(read_settings(devnet=False, **options))
        address = to_checksum_address(keystore_address(path))
    except DvllmError as error:
        fail(error, as_json=as_json)
    _show(address, path, as_json=as_json)


def _show(address: str, path: Path, *, as_json: bool) -> None:
    fields = {"address": address, "keystore": str(path)}
    show(fields, [address, f"kept in {path}"], as_json=as_json)
