"""Publishes a model: its directory becomes a CID, the registry a name for it."""

import asyncio
import uuid
from pathlib import Path
from typing import Protocol

from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.model_files import check_model_directory
from decentralized_vllm.protocol.errors import (
    ContractRevert,
    PermanentError,
    SettingError,
    UnknownModel,
)
from decentralized_vllm.protocol.ids import Address, Cid, ModelId
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.ports import Progress, TransactionSender
from decentralized_vllm.protocol.transactions import Call


class AddsPaths(Protocol):
    async def add_path(self, path: Path, *, progress: Progress | None = None) -> Cid: ...


class Publishing:
    """The owner registers under any free name, everybody else under `<own address>/<name>`."""

    def __init__(
        self, network: Network, account: Address, sender: TransactionSender, store: AddsPaths
    ) -> None:
        self._network = network
        self._account = account
        self._sender = sender
        self._store = store

    async def publish(
        self, path: Path, info: ModelInfo, terms: Terms | None, progress: Progress | None
    ) -> ModelInfo:
        """Returns when it is mined. A name of one's own that exists gets a new version.

        Raises SettingError (no such directory), UnsafeModel (no node would load it),
        ContractRevert, and what the store raises.
        """
        await asyncio.to_thread(_check_directory, path)
        cid = await self._store.add_path(path, progress=progress)
        registry = self._network.model_registry
        try:
            known = await registry.model(info.model_id)
        except UnknownModel:
            known = None
        if known is None:
            await self._send(await self._announcement(_with_cid(info, cid), terms))
        elif known.model_cid != cid or terms is not None:
            await self._send(registry.update_model(info.model_id, cid, terms))
        return await registry.model(info.model_id)

    async def _announcement(self, info: ModelInfo, terms: Terms | None) -> Call:
        registry = self._network.model_registry
        if not info.model_id.startswith(f"{self._account.lower()}/"):
            return registry.register_model(info, terms)
        return registry.publish_model(info, terms or await registry.default_terms())

    async def _send(self, call: Call) -> None:
        key = f"publish:{uuid.uuid4()}"
        try:
            await self._sender.send(call, key=key)
        except ContractRevert as error:
            raise _explained(error, self._account) from error
        await self._sender.wait(key)


def _check_directory(path: Path) -> None:
    if not path.is_dir():
        raise SettingError("model_path", f"{path} is not a directory")
    try:
        check_model_directory(path)
    except OSError as error:
        raise SettingError("model_path", f"{path} can not be read: {error.strerror}") from error


def _explained(error: ContractRevert, account: Address) -> PermanentError:
    """The setting to change, where there is one."""
    if error.name in ("OwnableUnauthorizedAccount", "NotPublisher"):
        return SettingError(
            "model_id",
            "only the network's owner may use this name",
            hint=f"use {account.lower()}/<name>, with the bond in credit",
        )
    if error.name == "CIDTaken":
        return SettingError("model_path", "another model of the owner has these very bytes")
    return error


def _with_cid(info: ModelInfo, cid: Cid) -> ModelInfo:
    return ModelInfo(
        model_id=ModelId(info.model_id),
        model_cid=cid,
        name=info.name,
        description=info.description,
        registered_at_s=info.registered_at_s,
        is_active=info.is_active,
    )
