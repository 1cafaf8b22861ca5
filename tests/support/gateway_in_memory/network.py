"""Models, nodes and an operator's node that are not there, as tests set them."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, ModelId, TxHash
from dvllm_gateway.errors import (
    ModelNotFound,
    NoCapacity,
)
from dvllm_gateway.services.network import Health, Model, Peer, ServingNode, Status
from dvllm_gateway.services.ports import (
    ModelUpload,
    PublishedModel,
    UnsignedTransaction,
)
from dvllm_gateway.services.resources import Allocation, Resources, Shares
from tests.support.gateway_in_memory.facts import MODEL, OWNER, PEERS, RESPONSE_CID, WORKER


@dataclass
class MemoryModels:
    """`registers` False answers uploads with a transaction to sign; `seen` is what was uploaded."""

    models: tuple[Model, ...] = (MODEL,)
    registers: bool = True
    cid: Cid = RESPONSE_CID
    seen: dict[str, bytes] = field(default_factory=dict)
    folder: Path | None = None
    uploads: list[ModelUpload] = field(default_factory=list)

    async def list(self, *, active_only: bool) -> tuple[Model, ...]:
        return tuple(model for model in self.models if model.is_active or not active_only)

    async def get(self, model_id: ModelId) -> Model:
        for model in self.models:
            if model.id == model_id:
                return model
        raise ModelNotFound(f"Model {model_id!r} is not registered")

    async def inspect(self, folder: Path) -> Cid:
        self.folder = folder
        self.seen = _files(folder)
        return self.cid

    async def publish(self, upload: ModelUpload) -> PublishedModel:
        self.uploads.append(upload)
        if self.registers:
            return PublishedModel(upload.model_id, self.cid, TxHash("0x" + "ab" * 32), None)
        call = UnsignedTransaction(OWNER, "0x1234", 31337)
        return PublishedModel(upload.model_id, self.cid, None, call)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class MemoryNetwork:
    async def status(self) -> Status:
        usage = Shares(45.2, 67.8, 23.1, 3.1)
        return Status(Health.HEALTHY, 3600, "1.0.0", 5, BlockNumber(12345), usage)

    async def peers(self) -> tuple[Peer, ...]:
        return PEERS

    async def serving(self, model_id: ModelId) -> tuple[ServingNode, ...]:
        return (ServingNode(WORKER, True, frozenset(Feature)),)

    async def owner(self) -> Address:
        return OWNER


@dataclass
class MemoryResources:
    now: Resources = field(
        default_factory=lambda: Resources(
            Shares(10, 15, 10, 5), Shares(8.5, 12.3, 7.2, 3.1), Shares(90, 80, 90, 70)
        )
    )

    async def read(self) -> Resources:
        return self.now

    async def change(self, wish: Allocation) -> Resources:
        names = ("cpu", "memory", "gpu", "storage")
        wanted = {n: getattr(wish, n) for n in names if getattr(wish, n) is not None}
        if any(share > getattr(self.now.limits, name) for name, share in wanted.items()):
            raise NoCapacity("above the limits")
        self.now = replace(self.now, allocation=replace(self.now.allocation, **wanted))
        return self.now
