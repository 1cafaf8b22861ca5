"""`devnet.json`: what another program needs to use a running network, and only while it runs."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ContractAddresses(_Frozen):
    coordinator: str
    model_registry: str
    node_registry: str
    token: str


class AccountEntry(_Frozen):
    name: str
    address: str
    private_key: str


class ModelEntry(_Frozen):
    id: str
    cid: str
    name: str


class GatewayEntry(_Frozen):
    """`url` has all APIs, and OpenAI's /v1; `dvllm_url` is the documented API alone."""

    url: str
    dvllm_url: str
    dvllm_ws_url: str


class Manifest(_Frozen):
    """`gateway` and `api_key`, which has credit, are None in a network without a gateway."""

    rpc_url: str
    ws_url: str
    chain_id: int
    contracts: ContractAddresses
    ipfs_api: str
    ipfs_gateway: str
    accounts: tuple[AccountEntry, ...]
    models: tuple[ModelEntry, ...]
    gateway: GatewayEntry | None
    api_key: str | None


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Whole or not at all: readers that wait for the file never see half of it."""
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_manifest(path: Path) -> Manifest:
    return Manifest.model_validate_json(path.read_bytes())


def remove_manifest(path: Path) -> None:
    path.unlink(missing_ok=True)
