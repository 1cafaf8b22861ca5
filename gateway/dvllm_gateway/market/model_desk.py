"""Publishes a received model: its files become one directory's CID, the registry a name for it."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.importer import cid_of_path
from decentralized_vllm.content.model_files import check_model_directory
from decentralized_vllm.protocol.errors import (
    ContractRevert,
    DvllmError,
    UnknownModel,
    UnsafeModel,
)
from decentralized_vllm.protocol.ids import Address, Cid, TxHash
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.ports import Progress, TransactionSender
from decentralized_vllm.protocol.transactions import Call
from dvllm_gateway.errors import Conflict, InvalidRequest
from dvllm_gateway.ids import new_task_id
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.ports import ModelUpload, PublishedModel, UnsignedTransaction

CID_TAKEN = "CIDTaken"  # the contract's word for files that a model has

log = logging.getLogger(__name__)


class ModelStore(Protocol):
    """Where published models are kept and pinned."""

    async def add_path(self, path: Path, *, progress: Progress | None = None) -> Cid: ...

    async def unpin(self, cid: Cid) -> None: ...


class RegistryDesk:
    """The port ModelDesk. `account` is the gateway's key, which `sender` sends with."""

    def __init__(
        self, network: Network, store: ModelStore, sender: TransactionSender, account: Address
    ) -> None:
        self._network = network
        self._registry = network.model_registry
        self._store = store
        self._sender = sender
        self._account = account
        self._one_at_a_time = asyncio.Lock()
        self._under_way: set[asyncio.Task[TxHash]] = set()

    async def inspect(self, folder: Path) -> Cid:
        try:
            await asyncio.to_thread(check_model_directory, folder)
        except UnsafeModel as error:
            raise InvalidRequest(str(error), field="file") from error
        return await asyncio.to_thread(cid_of_path, folder)

    async def publish(self, upload: ModelUpload) -> PublishedModel:
        async with self._one_at_a_time:
            with as_gateway_errors():
                return await self._publish(upload)

    async def _publish(self, upload: ModelUpload) -> PublishedModel:
        known, owner = await self._known(upload), await self._registry.owner()
        cid = await self._store.add_path(upload.folder)
        if known is not None and known.model_cid == cid:
            raise Conflict(f"model {upload.model_id!r} has these very files")
        call = self._call(upload, cid, is_known=known is not None)
        if owner != self._account:
            return PublishedModel(upload.model_id, cid, None, self._unsigned(call))
        return PublishedModel(upload.model_id, cid, await self._watched(call, cid), None)

    async def _known(self, upload: ModelUpload) -> ModelInfo | None:
        try:
            return await self._registry.model(upload.model_id)
        except UnknownModel:
            return None

    def _call(self, upload: ModelUpload, cid: Cid, *, is_known: bool) -> Call:
        """A model that exists gets a new version under its present terms."""
        if is_known:
            return self._registry.update_model(upload.model_id, cid)
        info = ModelInfo(upload.model_id, cid, upload.name, upload.description, 0, True)
        return self._registry.register_model(info)

    def _unsigned(self, call: Call) -> UnsignedTransaction:
        chain_id = self._network.identity.chain_id
        return UnsignedTransaction(call.to, "0x" + call.data.hex(), chain_id)

    async def _watched(self, call: Call, cid: Cid) -> TxHash:
        """To its end, also when the caller hangs up: nobody else watches the transaction."""
        task = asyncio.create_task(self._register(call, cid))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _register(self, call: Call, cid: Cid) -> TxHash:
        key = f"publish:{new_task_id()}"
        try:
            await self._sender.send(call, key=key)
            return (await self._sender.wait(key)).tx_hash
        except DvllmError as error:
            log.warning("model not registered", extra={"cid": cid, "call": call.label})
            if not (isinstance(error, ContractRevert) and error.name == CID_TAKEN):
                with suppress(DvllmError):  # the first error is the one to tell
                    await self._drop(cid)
            raise

    async def _drop(self, cid: Cid) -> None:
        """Unless another model has these very files: they were kept before."""
        models = await self._registry.models()
        if all(model.model_cid != cid for model in models):
            await self._store.unpin(cid)
