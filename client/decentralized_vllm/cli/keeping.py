"""What the commands about the key itself do."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from decentralized_vllm.chain.keys import account_from_key, keystore_address, save_keystore
from decentralized_vllm.cli.hidden_input import ask_hidden
from decentralized_vllm.cli.output import show
from decentralized_vllm.cli.running import fail
from decentralized_vllm.cli.sources import keystore_path, passphrase, raw_key_of, read_settings
from decentralized_vllm.protocol.errors import DvllmError, SettingError

_MAX_KEY_FILE_BYTES = 1_000


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
        _save(account, passphrase(settings, confirm=True), path)
    except DvllmError as error:
        fail(error, as_json=as_json)
    _show(account.address, path, as_json=as_json)


def _save(account: LocalAccount, secret: str, path: Path) -> None:
    """All of it or nothing: half a keystore opens nothing, and stands in the next one's way."""
    try:
        save_keystore(account, secret, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise SettingError("keystore", f"{path} can not be written: {error.strerror}") from error


def import_and_show(key_file: BinaryIO | None, options: dict[str, Any], *, as_json: bool) -> None:
    keep_and_show(lambda: account_from_key(_key_text(key_file)), options, as_json=as_json)


def _key_text(key_file: BinaryIO | None) -> str:
    """Raises SettingError, which shows nothing of the key."""
    if key_file is None:
        unasked = SettingError(
            "key_file",
            "is not given, and there is no terminal to ask for the key",
            hint="name the file that holds it, or pipe it in",
        )
        return ask_hidden("Private key", unasked=unasked)
    try:
        return key_file.read(_MAX_KEY_FILE_BYTES).decode("ascii")
    except UnicodeDecodeError:
        raise SettingError("key_file", f"{key_file.name} is no text of hex digits") from None


def show_address(options: dict[str, Any], *, as_json: bool) -> None:
    try:
        settings = read_settings(**options)
        raw_key = raw_key_of(settings)
        if raw_key is not None:
            _show(account_from_key(raw_key).address, None, as_json=as_json)
            return
        path = keystore_path(settings)
        address = to_checksum_address(keystore_address(path))
    except DvllmError as error:
        fail(error, as_json=as_json)
    _show(address, path, as_json=as_json)


def _show(address: str, path: Path | None, *, as_json: bool) -> None:
    fields = {"address": address, "keystore": path and str(path)}
    kept = "in no keystore: it is set as private_key" if path is None else f"kept in {path}"
    show(fields, [address, kept], as_json=as_json)
