"""Asks the nodes of a model what they can do, and remembers it for a moment."""

import asyncio
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import ContentTooLarge, ContentUnavailable
from decentralized_vllm.protocol.ids import Address, VersionNumber
from decentralized_vllm.protocol.nodes import RegisteredNode
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.requester.node_status import Sighting, sighting_in

ENTRIES_READ = 400  # of the list that leases are drawn from
MAX_ASKED = 32
REMEMBERED_S = 10.0

# Of every operator that serves a version; None for who was not asked, or not heard.
Sightings: TypeAlias = Mapping[Address, Sighting | None]


class AsksNodes(Protocol):
    async def status(self, endpoint: str) -> bytes: ...


@dataclass(slots=True)
class _Seen:
    """Whoever asks first looks for all who ask meanwhile."""

    sightings: Sightings = field(default_factory=dict)
    at_s: float = -math.inf
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


class NodeSightings:
    def __init__(self, network: Network, door: AsksNodes) -> None:
        self._coordinator = network.coordinator
        self._registry = network.node_registry
        self._deployment = Deployment(network.identity.chain_id, network.coordinator.address)
        self._door = door
        self._seen: dict[VersionNumber, _Seen] = {}

    async def of(self, version: VersionNumber) -> Sightings:
        """Raises ChainUnavailable."""
        seen = self._seen.setdefault(version, _Seen())
        async with seen.looking:
            if time.monotonic() - seen.at_s > REMEMBERED_S:
                seen.sightings = await self._look(version)
                seen.at_s = time.monotonic()
        return seen.sightings

    def forget(self, version: VersionNumber) -> None:
        self._seen.pop(version, None)

    async def _look(self, version: VersionNumber) -> Sightings:
        entries = await self._coordinator.entries_of(version, 0, ENTRIES_READ)
        operators = [*dict.fromkeys(entries)]
        asked = random.sample(operators, min(len(operators), MAX_ASKED))
        nodes = await self._registry.nodes_of(asked)
        heard = await asyncio.gather(*(self._sighting(node, version) for node in nodes))
        return {**dict.fromkeys(operators), **dict(zip(asked, heard, strict=True))}

    async def _sighting(self, node: RegisteredNode, version: VersionNumber) -> Sighting | None:
        if not node.profile.endpoint:
            return None
        try:
            data = await self._door.status(node.profile.endpoint)
        except (ContentUnavailable, ContentTooLarge):
            return None
        return sighting_in(data, node.operator, self._deployment, version)
