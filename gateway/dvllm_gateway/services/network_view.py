"""The network as requests see it: everything from what the background found last."""

import time
from collections.abc import Awaitable, Callable

from decentralized_vllm.protocol.ids import Address, ModelId
from dvllm_gateway.services.health_watch import HealthWatch
from dvllm_gateway.services.network import Peer, ServingNode, Status
from dvllm_gateway.services.node_resources import Gauge
from dvllm_gateway.services.peer_book import PeerBook


class NetworkView:
    """The port Network. `owner` asks the contract each time: a right must not outlive itself."""

    def __init__(
        self,
        *,
        health: HealthWatch,
        peers: PeerBook,
        gauge: Gauge,
        read_owner: Callable[[], Awaitable[Address]],
        version: str,
    ) -> None:
        self._health = health
        self._peers = peers
        self._gauge = gauge
        self._read_owner = read_owner
        self._version = version
        self._started_s = time.monotonic()

    async def status(self) -> Status:
        return Status(
            health=self._health.health,
            uptime_s=int(time.monotonic() - self._started_s),
            version=self._version,
            n_peers=self._peers.n_connected,
            block_number=self._health.block_number,
            usage=self._gauge.machine,
        )

    async def peers(self) -> tuple[Peer, ...]:
        return self._peers.peers

    async def serving(self, model_id: ModelId) -> tuple[ServingNode, ...]:
        return self._peers.serving(model_id)

    async def owner(self) -> Address:
        return await self._read_owner()
