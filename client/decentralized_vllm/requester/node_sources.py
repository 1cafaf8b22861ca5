"""Nodes by their endpoints: where a node listens, and what can be read there."""

from decentralized_vllm.chain.contracts.node_registry import NodeRegistry
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.protocol.ids import Address


class NodeSources:
    """One verified store per endpoint, kept open until `close`."""

    def __init__(self, registry: NodeRegistry, *, public_only: bool) -> None:
        self._registry = registry
        self._public_only = public_only
        self._stores: dict[str, GatewayStore] = {}

    async def endpoint_of(self, node: Address) -> str | None:
        """None for a node that announces none."""
        return (await self._registry.node(node)).profile.endpoint or None

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
