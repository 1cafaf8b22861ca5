"""Names a node for what not every engine does: drawn by the chain, it could be one that can not.

Such a node hands the job back as a fault of its prompt, which costs the requester a fiftieth.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Protocol

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import (
    ContentTooLarge,
    ContentUnavailable,
    NodesBusy,
    NotServed,
)
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, VersionNumber, Wei
from decentralized_vllm.protocol.nodes import RegisteredNode
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.requester.node_status import Sighting, sighting_in

ENTRIES_READ = 400  # of the list that leases are drawn from
MAX_ASKED = 32

Sightings = Mapping[Address, Sighting | None]


class AsksNodes(Protocol):
    async def status(self, endpoint: str) -> bytes: ...


class NodeChoice:
    def __init__(self, network: Network, door: AsksNodes) -> None:
        self._coordinator = network.coordinator
        self._registry = network.node_registry
        self._deployment = Deployment(network.identity.chain_id, network.coordinator.address)
        self._door = door

    async def node_for(
        self, wanted: frozenset[Feature], version: VersionNumber, escrow_wei: Wei
    ) -> Address:
        """The zero address leaves it to the chain: nothing special is wanted, or all can do it.

        So it is when no node can be asked. Raises NotServed, NodesBusy and ChainUnavailable.
        """
        if not wanted:
            return ZERO_ADDRESS
        sightings = await self._look(version)
        able = able_nodes(sightings, wanted)
        if not able or len(able) == len(sightings):
            return ZERO_ADDRESS
        for operator, seen in able.items():
            if not seen.has_room:
                continue
            if await self._coordinator.is_eligible(operator, version, escrow_wei):
                return operator
        raise NodesBusy(f"the nodes that serve {_told(wanted)} have no room now")

    async def _look(self, version: VersionNumber) -> Sightings:
        """All operators of the version, in any order; None for who was not asked or not heard."""
        entries = await self._coordinator.entries_of(version, 0, ENTRIES_READ)
        operators = [*dict.fromkeys(entries)]
        random.shuffle(operators)
        nodes = await self._registry.nodes_of(operators[:MAX_ASKED])
        heard = await asyncio.gather(*(self._sighting(node, version) for node in nodes))
        return {**dict.fromkeys(operators), **dict(zip(operators, heard, strict=False))}

    async def _sighting(self, node: RegisteredNode, version: VersionNumber) -> Sighting | None:
        if not node.profile.endpoint:
            return None
        try:
            data = await self._door.status(node.profile.endpoint)
        except (ContentUnavailable, ContentTooLarge):
            return None
        return sighting_in(data, node.operator, self._deployment, version)


def able_nodes(sightings: Sightings, wanted: frozenset[Feature]) -> dict[Address, Sighting]:
    """Those that do all of it. Raises NotServed if some node was heard, and none of them does."""
    heard = {operator: seen for operator, seen in sightings.items() if seen is not None}
    able = {operator: seen for operator, seen in heard.items() if wanted <= seen.features}
    if heard and not able:
        served = frozenset[Feature]().union(*(seen.features for seen in heard.values()))
        raise NotServed(f"no node of this model serves {_told(wanted - served or wanted)}")
    return able


def _told(features: frozenset[Feature]) -> str:
    return ", ".join(sorted(features))
