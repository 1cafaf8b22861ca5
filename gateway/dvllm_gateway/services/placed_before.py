"""Nodes for a request that is answered once more."""

from collections.abc import Awaitable, Callable

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, ModelId
from dvllm_gateway.services.network import Peer, ServingNode, Status
from dvllm_gateway.services.ports import Network

_ANY_NODE = ServingNode(ZERO_ADDRESS, has_room=True, features=frozenset(Feature))


class PlacedBefore(Network):
    """The port Network; where the request has its task, no node must be there or free any more."""

    def __init__(self, network: Network, has_task: Callable[[], Awaitable[bool]]) -> None:
        self._network = network
        self._has_task = has_task

    async def serving(self, model_id: ModelId) -> tuple[ServingNode, ...]:
        if await self._has_task():
            return (_ANY_NODE,)
        return await self._network.serving(model_id)

    async def status(self) -> Status:
        return await self._network.status()

    async def peers(self) -> tuple[Peer, ...]:
        return await self._network.peers()

    async def owner(self) -> Address:
        return await self._network.owner()
