"""Where a command's settings come from: flags, then DVLLM_CLIENT__… variables, then a file."""

import os
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_data_path
from pydantic import SecretStr, ValidationError
from pydantic_core import from_json
from pydantic_settings import SettingsConfigDict

from decentralized_vllm.cli.hidden_input import ask_hidden
from decentralized_vllm.process.settings_files import FileSettings, settings_of
from decentralized_vllm.protocol.documents import describe
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.settings import DEFAULT_IPFS_PORT, DEFAULT_MAX_TOP_UP, ClientSettings

ENV_PREFIX = "DVLLM_CLIENT__"
FILE_NAME = "client.toml"
DEVNET_MANIFEST = Path(".devnet/devnet.json")


class CommandSettings(FileSettings):
    """The fields of ClientSettings as text can give them."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    eth_node_url: str | list[str] = "http://127.0.0.1:8545"
    contract_address: str = ""
    private_key: SecretStr | None = None
    keystore: Path | None = None
    passphrase_file: Path | None = None
    ipfs_host: str | None = None
    ipfs_port: int = DEFAULT_IPFS_PORT
    ws_url: str | None = None
    chain_id: int | None = None
    data_dir: Path | None = None
    store: Path | None = None
    max_top_up: str = DEFAULT_MAX_TOP_UP
    expire_overdue: bool = True
    private_endpoints: bool | None = None
    first_block: int = 0
    poll_s: float = 1.0


def read_settings(config: str | None, *, devnet: bool, **flags: Any) -> CommandSettings:
    """Raises SettingError naming the setting."""
    given = {name: value for name, value in flags.items() if value is not None}
    if devnet:
        given = {**_devnet_settings(DEVNET_MANIFEST), **given}
    file = Path(config) if config else user_config_path("dvllm") / FILE_NAME
    if config and not file.is_file():
        raise SettingError("config", f"{file} is not a file")
    try:
        return settings_of(CommandSettings, file, given)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise SettingError(name, describe(error).partition(": ")[2]) from None
    except (OSError, ValueError) as error:
        raise SettingError("config", f"{file} can not be read: {error}") from error


def client_settings(settings: CommandSettings, *, needs_key: bool) -> ClientSettings:
    """Asks for a passphrase if the key needs one. Raises SettingError."""
    if not settings.contract_address:
        raise SettingError(
            "contract_address",
            "is not set",
            hint="the InferenceCoordinator's address, or --devnet for the local network",
        )
    fields = settings.model_dump(exclude={"private_key", "keystore", "passphrase_file"})
    return ClientSettings(**fields, **(_key_fields(settings) if needs_key else {}))


def keystore_path(settings: CommandSettings) -> Path:
    return settings.keystore or (settings.data_dir or user_data_path("dvllm")) / "wallet.json"


def passphrase(settings: CommandSettings, *, confirm: bool = False) -> str:
    if settings.passphrase_file is not None:
        from decentralized_vllm.chain.keys import read_passphrase

        return read_passphrase(settings.passphrase_file)
    path = keystore_path(settings)
    unasked = SettingError(
        "passphrase_file",
        f"is not set, and there is no terminal to ask for the passphrase of {path}",
        hint="name the file that holds it, or pipe it in",
    )
    return ask_hidden(f"Passphrase of {path}", confirm=confirm, unasked=unasked)


def raw_key_of(settings: CommandSettings) -> str | None:
    """None where the key is in a keystore, which goes before it."""
    if settings.private_key is None or settings.keystore is not None:
        return None
    return settings.private_key.get_secret_value()


def _key_fields(settings: CommandSettings) -> dict[str, Any]:
    raw_key = raw_key_of(settings)
    if raw_key is not None:
        return {"private_key": raw_key, "local_key_only": True}
    path = keystore_path(settings)
    if not path.is_file():
        raise SettingError(
            "keystore", f"{path} is not there", hint="make one with `dvllm wallet new`"
        )
    return {"keystore": path, "passphrase": passphrase(settings)}


def _devnet_settings(path: Path) -> dict[str, Any]:
    """What `make devnet` wrote: its addresses, and its requester's (worthless) key."""
    try:
        manifest = from_json(path.read_bytes())
        key = next(a["private_key"] for a in manifest["accounts"] if a["name"] == "requester")
        host, _, port = manifest["ipfs_api"].rpartition("/")[2].rpartition(":")
        return {
            "eth_node_url": manifest["rpc_url"],
            "ws_url": manifest["ws_url"],
            "chain_id": manifest["chain_id"],
            "contract_address": manifest["contracts"]["coordinator"],
            "private_key": os.environ.get(f"{ENV_PREFIX}PRIVATE_KEY") or key,
            "keystore": None,  # whatever other networks are used with: its file would go first
            "first_block": 0,
            "ipfs_host": host,
            "ipfs_port": int(port),
        }
    except FileNotFoundError:
        raise SettingError(
            "devnet", f"{path} is not there", hint="start the network with `make devnet`"
        ) from None
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise SettingError("devnet", f"{path} is not a network's manifest") from error
