"""Nodes by their endpoints: where a node listens, and what can be read there."""

import asyncio
import math
import time
from dataclasses import dataclass, field

from decentralized_vllm.chain.contracts.node_registry import NodeRegistry
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.protocol.ids import Address

REMEMBERED_S = 10.0


@dataclass(slots=True)
class _Known:
    """What a node's profile said. Whoever asks first reads it for all who ask meanwhile."""

    endpoint: str | None = None
    read_at_s: float = -math.inf
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class NodeSources:
    """One verified store per endpoint, kept open until `close`."""

    def __init__(self, registry: NodeRegistry, *, public_only: bool) -> None:
        self._registry = registry
        self._public_only = public_only
        self._stores: dict[str, GatewayStore] = {}
        self._known: dict[Address, _Known] = {}

    async def endpoint_of(self, node: Address) -> str | None:
        """None for a node that announces none. A change is seen within ten seconds."""
        known = self._known.setdefault(node, _Known())
        async with known.reading:
            if time.monotonic() - known.read_at_s > REMEMBERED_S:
                known.endpoint = (await self._registry.node(node)).profile.endpoint or None
                known.read_at_s = time.monotonic()
        return known.endpoint

    async def store_of(self, node: Address) -> GatewayStore | None:
        endpoint = await self.endpoint_of(node)
        if endpoint is None:
            return None
        if endpoint not in self._stores:
            self._stores[endpoint] = GatewayStore([endpoint], public_only=self._public_only)
        return self._stores[endpoint]

    async def close(self) -> None:
        for store in self._stores.values():
            await store.close()
        self._stores.clear()
