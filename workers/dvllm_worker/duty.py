"""A node's standing with the coordinator: registered, staked, joined, on duty."""

import logging
from dataclasses import dataclass

from decentralized_vllm.chain.contracts.coordinator_calls import MAX_LIST_STEPS
from decentralized_vllm.protocol.errors import (
    ContractRevert,
    InsufficientGas,
    PermanentError,
    SettingError,
)
from decentralized_vllm.protocol.ids import ModelId, VersionNumber
from decentralized_vllm.protocol.models import ModelVersion
from dvllm_worker.models.served import ServedModel
from dvllm_worker.onchain import Desk

log = logging.getLogger(__name__)


class NotReady(PermanentError):
    """The node can not work yet; the hint names the command to run first."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What a node does about its own standing. Every method reads the chain before it sends."""

    desk: Desk

    async def check_ready(self) -> None:
        """Raises NotReady and InsufficientGas."""
        node, registered = await self.desk.node(), await self._is_registered()
        if not registered:
            raise NotReady(f"{self.desk.address} is not registered", hint="run `worker register`")
        if node.stake_wei == 0:
            raise NotReady(f"{self.desk.address} has no stake", hint="run `worker stake AMOUNT`")
        if await self.desk.balance() == 0:
            raise InsufficientGas(
                f"{self.desk.address} has nothing to pay for gas",
                hint="send it some of the chain's own coin",
            )

    async def served_models(self) -> list[ServedModel]:
        """The versions this node joined."""
        return [served(version) for version in await self._joined_versions()]

    async def models_to_serve(self, *, reserve_s: float) -> list[ServedModel]:
        """At a start. Raises NotReady for none, and as `check_lease`."""
        versions = await self._joined_versions()
        if not versions:
            raise NotReady("this node serves no model", hint="run `worker serve-model MODEL_ID`")
        for version in versions:
            self.check_lease(version, reserve_s)
        return [served(version) for version in versions]

    def check_lease(self, version: ModelVersion, reserve_s: float) -> None:
        """Raises SettingError where no time would be left for an answer, at the node's cost."""
        lease_s = version.terms.lease_s + self.desk.network.clocks.grace_s
        if lease_s <= reserve_s:
            raise SettingError(
                "chain.block_time_s",
                f"two blocks take {reserve_s:g} s, and a lease of {version.model_id} lasts "
                f"{lease_s} s with its grace: each job would be handed back, at your cost",
                hint=f"mend it, or run `worker serve-model {version.model_id} --leave`",
            )

    async def _joined_versions(self) -> list[ModelVersion]:
        coordinator = self.desk.network.coordinator
        numbers = await coordinator.joined_versions(self.desk.address)
        return [await coordinator.version(number) for number in numbers]

    async def current_version(self, model_id: ModelId) -> ModelVersion:
        """What new jobs of a model are given. Raises UnknownModel."""
        coordinator = self.desk.network.coordinator
        current = await coordinator.current_version(model_id)
        return await coordinator.version(current.current)

    async def join(self, version: VersionNumber) -> int:
        """As many entries as the stake allows, in bounded steps; how many were added.

        Goes on where a broken call stopped. Raises NotReady when the stake is less than one unit.
        """
        n_added = 0
        while True:
            try:
                receipt = await self.desk.do(self.desk.network.node_calls.join_version(version))
            except ContractRevert as error:
                if error.name == "AlreadyJoined":
                    return n_added
                if error.name == "NodeNotEligible":
                    raise await self._why_not_eligible() from error
                raise
            n_added += MAX_LIST_STEPS
            log.info("joined version %d", version, extra={"tx_hash": receipt.tx_hash})

    async def leave(self, version: VersionNumber) -> None:
        """Until no entry is left."""
        while version in await self.desk.network.coordinator.joined_versions(self.desk.address):
            await self.desk.do(self.desk.network.node_calls.leave_version(version))
            log.info("left version %d", version)

    async def set_slots(self, slots: int) -> None:
        """What the profile says of slots; nothing is sent when it says so already."""
        registered = await self.desk.network.node_registry.node(self.desk.address)
        if registered.profile.slots != slots:
            await self.desk.do(self.desk.network.node_registry.set_slots(slots))
            log.info("slots are %d now", slots)

    async def is_suspended(self) -> bool:
        return (await self.desk.node()).is_suspended

    async def resume(self) -> bool:
        """Takes duty again after a no-show; whether that was needed."""
        if not await self.is_suspended():
            return False
        await self.desk.do(self.desk.network.node_calls.resume())
        return True

    async def _is_registered(self) -> bool:
        return (await self.desk.network.node_registry.node(self.desk.address)).is_registered

    async def _why_not_eligible(self) -> NotReady:
        node = await self.desk.node()
        unit = await self.desk.network.coordinator.stake_unit()
        if node.is_suspended:
            return NotReady("the node is suspended after a no-show", hint="run `worker resume`")
        if node.stake_wei < unit:
            return NotReady(
                f"the stake is below one unit of {unit / 10**18:g} tokens",
                hint="run `worker stake AMOUNT`",
            )
        return NotReady("the node offers no slots", hint="run `worker register --slots N`")


def served(version: ModelVersion) -> ServedModel:
    return ServedModel(version.number, version.model_id, version.model_cid)
