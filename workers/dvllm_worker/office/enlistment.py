"""What an operator does with the node's profile and the lists it is on."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, ModelId
from decentralized_vllm.protocol.models import ModelVersion
from decentralized_vllm.protocol.nodes import NodeProfile, RegisteredNode
from dvllm_worker.duty import Duty, NotReady
from dvllm_worker.models.served import ServedModel
from dvllm_worker.office.refusals import told_plainly
from dvllm_worker.office.treasury import Told
from dvllm_worker.onchain import Desk


class ProfileWish(BaseModel):
    """What the profile shall say. None leaves endpoint and region as they are, and slots to
    whoever holds the key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_ram_mib: Annotated[int, Field(ge=0, lt=2**256)]
    max_vram_mib: Annotated[int, Field(ge=0, lt=2**256)]
    max_cpu_percent: Annotated[int, Field(ge=0, lt=2**256)]
    endpoint: str | None = None
    region: str | None = None
    payout: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")] = ZERO_ADDRESS
    slots: Annotated[int, Field(ge=0, le=65_535)] | None = None

    def over(self, known: NodeProfile, *, slots: int) -> NodeProfile:
        return NodeProfile(
            max_ram_mib=self.max_ram_mib,
            max_vram_mib=self.max_vram_mib,
            max_cpu_percent=self.max_cpu_percent,
            endpoint=known.endpoint if self.endpoint is None else self.endpoint,
            region=known.region if self.region is None else self.region,
            payout=Address(self.payout),
            slots=slots,
        )


class Enlistment(ABC):
    """The node's profile and the lists it is on, as the process that holds the key changes them.

    One change at a time. Methods raise NotReady, SettingError, EngineUnavailable, UnknownModel and
    what the sender raises; what broke off goes on when it is called again.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._duty = Duty(desk)
        self._turn = asyncio.Lock()

    async def register(self, wish: ProfileWish) -> Told:
        async with self._turn:
            registry = self._desk.network.node_registry
            known = await registry.node(self._desk.address)
            profile = self._profile(wish, known)
            is_known = known.is_registered
            call = registry.update_profile if is_known else registry.register_node
            receipt = await self._desk.do(call(profile))
            await self._told_profile()
            return {
                "node": self._desk.address,
                "was_new": not is_known,
                "slots": profile.slots,
                "endpoint": profile.endpoint,
                "tx_hash": receipt.tx_hash,
            }

    async def serve(self, model_id: ModelId) -> Told:
        """Joins the list of the model's current version, with as many entries as stake allows."""
        async with self._turn:
            await self._duty.check_ready()
            version = await self._duty.current_version(model_id)
            return {
                "node": self._desk.address,
                "is_served": True,
                "model_id": model_id,
                "model_cid": version.model_cid,
                "version": version.number,
                **await self._joined(version),
            }

    async def leave(self, model_id: ModelId) -> Told:
        async with self._turn:
            models = [model for model in await self._models() if model.model_id == model_id]
            if not models:
                raise NotReady(f"this node does not serve {model_id}")
            await self._leave(models)
            return {"node": self._desk.address, "is_served": False, "model_id": model_id}

    async def deregister(self) -> Told:
        """Leases that are held stay with the node, which answers them as before."""
        async with self._turn:
            await self._check_leases()
            await self._leave(await self._models())
            call = self._desk.network.node_registry.deregister_node()
            with told_plainly(self._desk.address):
                receipt = await self._desk.do(call)
            n_in_flight = (await self._desk.node()).n_in_flight
            told = {"node": self._desk.address, "in_flight": n_in_flight}
            return {**told, "tx_hash": receipt.tx_hash}

    async def _models(self) -> Sequence[ServedModel]:
        return await self._duty.served_models()

    async def _leave(self, models: Sequence[ServedModel]) -> None:
        for model in models:
            await self._duty.leave(model.version)

    @abstractmethod
    def _profile(self, wish: ProfileWish, known: RegisteredNode) -> NodeProfile:
        """What is sent. Raises for a wish that this process can not keep."""

    async def _told_profile(self) -> None:
        """The chain has a profile now."""
        return None

    @abstractmethod
    async def _joined(self, version: ModelVersion) -> Told:
        """Makes sure that its jobs can be answered, then joins; what the command tells of it."""

    async def _check_leases(self) -> None:
        """Raises NotReady where a lease that is held could not be answered any more."""
        return None
