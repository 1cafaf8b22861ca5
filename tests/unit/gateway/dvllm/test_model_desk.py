"""Publishing a received model: what is stored, what is sent, and what is left after a failure."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import ChainUnavailable, ContractRevert, UnknownModel
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, ModelId, TxHash, Wei
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.transactions import Call, Receipt
from dvllm_gateway.errors import Conflict, InvalidRequest, NetworkUnavailable, TransactionRejected
from dvllm_gateway.market.model_desk import RegistryDesk
from dvllm_gateway.services.ports import ModelUpload
from tests.support.gateway_in_memory.facts import OWNER, RESPONSE_CID, WORKER
from tests.support.waiting import wait_until

MODEL_ID = ModelId("custom-model")
TX = TxHash("0x" + "ab" * 32)


class World:
    """A registry, a store and a sender. `fails` is what `send` or `wait` raises."""

    def __init__(self, *, owner: Address = OWNER, known: Cid | None = None) -> None:
        self.owner_address = owner
        self.known = known
        self.others: list[Cid] = []
        self.is_silent = False
        self.pinned: set[Cid] = set()
        self.sent: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.mined = asyncio.Event()
        self.mined.set()

    # registry
    async def owner(self) -> Address:
        if self.is_silent:
            raise ChainUnavailable("silent")
        return self.owner_address

    async def model(self, model_id: ModelId) -> ModelInfo:
        if self.known is None:
            raise UnknownModel("none")
        return ModelInfo(model_id, self.known, "n", "d", 1, True)

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(ModelId("other"), cid, "n", "d", 1, True) for cid in self.others]

    def register_model(self, info: ModelInfo) -> Call:
        return Call(OWNER, b"\x01", f"register {info.model_id} {info.name} {info.model_cid}")

    def update_model(self, model_id: ModelId, cid: Cid) -> Call:
        return Call(OWNER, b"\x02", f"update {model_id} {cid}")

    # store
    async def add_path(self, path: Path, **_: Any) -> Cid:
        self.pinned.add(RESPONSE_CID)
        return RESPONSE_CID

    async def unpin(self, cid: Cid) -> None:
        self.pinned.discard(cid)

    # sender
    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        if "send" in self.fails:
            raise self.fails["send"]
        self.sent.append(call.label)
        return TX

    async def wait(self, key: str) -> Receipt:
        await self.mined.wait()
        if "wait" in self.fails:
            raise self.fails["wait"]
        return Receipt(TX, BlockNumber(1), "0x", 1, Wei(1))

    def desk(self) -> RegistryDesk:
        network = SimpleNamespace(model_registry=self, identity=SimpleNamespace(chain_id=31337))
        return RegistryDesk(cast(Network, network), self, self, OWNER)


def upload(folder: Path) -> ModelUpload:
    return ModelUpload(MODEL_ID, "My model", "for tasks", folder, OWNER)


async def test_publish__new_model__registered_and_kept(tmp_path: Path) -> None:
    world = World()
    published = await world.desk().publish(upload(tmp_path))
    assert (published.cid, published.tx_hash, published.transaction) == (RESPONSE_CID, TX, None)
    assert world.sent == [f"register {MODEL_ID} My model {RESPONSE_CID}"]
    assert world.pinned == {RESPONSE_CID}


async def test_publish__known_model__gets_a_new_version(tmp_path: Path) -> None:
    world = World(known=Cid("another"))
    await world.desk().publish(upload(tmp_path))
    assert world.sent == [f"update {MODEL_ID} {RESPONSE_CID}"]


async def test_publish__the_very_same_files__conflict_and_still_kept(tmp_path: Path) -> None:
    world = World(known=RESPONSE_CID)
    with pytest.raises(Conflict):
        await world.desk().publish(upload(tmp_path))
    assert (world.sent, world.pinned) == ([], {RESPONSE_CID})


async def test_publish__owner_is_another__left_to_sign(tmp_path: Path) -> None:
    world = World(owner=WORKER)
    published = await world.desk().publish(upload(tmp_path))
    assert published.tx_hash is None
    assert published.transaction is not None
    assert (published.transaction.data, published.transaction.chain_id) == ("0x01", 31337)
    assert (world.sent, world.pinned) == ([], {RESPONSE_CID})


@pytest.mark.parametrize("step", ["send", "wait"])
async def test_publish__contract_refuses__nothing_is_kept(tmp_path: Path, step: str) -> None:
    world = World()
    world.fails[step] = ContractRevert("InvalidId")
    with pytest.raises(TransactionRejected, match="InvalidId"):
        await world.desk().publish(upload(tmp_path))
    assert world.pinned == set()


@pytest.mark.parametrize(("error", "others"), [("CIDTaken", []), ("InvalidId", [RESPONSE_CID])])
async def test_publish__files_of_another_model__stay_kept(
    tmp_path: Path, error: str, others: list[Cid]
) -> None:
    world = World()
    world.fails["send"], world.others = ContractRevert(error), others
    with pytest.raises(TransactionRejected):
        await world.desk().publish(upload(tmp_path))
    assert world.pinned == {RESPONSE_CID}


async def test_publish__chain_is_away__nothing_is_stored(tmp_path: Path) -> None:
    world = World()
    world.is_silent = True
    with pytest.raises(NetworkUnavailable):
        await world.desk().publish(upload(tmp_path))
    assert (world.sent, world.pinned) == ([], set())


async def test_publish__caller_leaves_after_sending__seen_to_its_end(tmp_path: Path) -> None:
    world = World()
    world.mined.clear()
    world.fails["wait"] = ContractRevert("TextTooLong")
    publishing = asyncio.create_task(world.desk().publish(upload(tmp_path)))
    await wait_until(lambda: bool(world.sent), what="the transaction")
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    world.mined.set()
    await wait_until(lambda: not world.pinned, what="the failure to be cleaned up")


async def test_inspect__what_no_node_would_load__refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "x.py"}}')
    with pytest.raises(InvalidRequest, match="safetensors"):
        await World().desk().inspect(tmp_path)
