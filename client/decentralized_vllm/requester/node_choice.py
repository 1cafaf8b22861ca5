"""Names a node for what not every engine does: drawn by the chain, it could be one that can not.

Such a node hands the job back as a fault of its prompt, which costs the requester a fiftieth.
"""

import random
from collections.abc import Mapping
from typing import Protocol

from decentralized_vllm.protocol.errors import NodesBusy, NotServed
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, VersionNumber, Wei
from decentralized_vllm.requester.node_sightings import NodeSightings, Sightings
from decentralized_vllm.requester.node_status import Sighting


class KnowsRoom(Protocol):
    async def is_eligible(
        self, operator: Address, version: VersionNumber, escrow_wei: Wei
    ) -> bool: ...


class NodeChoice:
    def __init__(self, coordinator: KnowsRoom, sightings: NodeSightings) -> None:
        self._coordinator = coordinator
        self._sightings = sightings

    async def node_for(
        self, wanted: frozenset[Feature], version: VersionNumber, escrow_wei: Wei
    ) -> Address:
        """The zero address leaves it to the chain: nothing special is wanted, or all can do it.

        So it is when no node can be asked. Raises NotServed, NodesBusy and ChainUnavailable.
        """
        if not wanted:
            return ZERO_ADDRESS
        sightings = await self._sightings.of(version)
        try:
            able = able_nodes(sightings, wanted)
            if not able or len(able) == len(sightings):
                return ZERO_ADDRESS
            return await self._free_one(able, version, escrow_wei)
        except (NotServed, NodesBusy):
            self._sightings.forget(version)  # whoever tries again is not refused from memory
            raise

    async def _free_one(
        self, able: Mapping[Address, Sighting], version: VersionNumber, escrow_wei: Wei
    ) -> Address:
        """Any of them, and one that the chain would take."""
        free = [operator for operator, seen in able.items() if seen.has_room]
        for operator in random.sample(free, len(free)):
            if await self._coordinator.is_eligible(operator, version, escrow_wei):
                return operator
        raise NodesBusy("the nodes that do what the prompt asks for have no room now")


def able_nodes(sightings: Sightings, wanted: frozenset[Feature]) -> dict[Address, Sighting]:
    """Those that do all of it. Raises NotServed if some node was heard, and none of them does."""
    heard = {operator: seen for operator, seen in sightings.items() if seen is not None}
    able = {operator: seen for operator, seen in heard.items() if wanted <= seen.features}
    if heard and not able:
        served = frozenset[Feature]().union(*(seen.features for seen in heard.values()))
        missing = ", ".join(sorted(wanted - served or wanted))
        raise NotServed(f"no node of this model serves {missing}")
    return able
