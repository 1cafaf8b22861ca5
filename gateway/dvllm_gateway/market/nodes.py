"""The registered nodes, and how to hear whether one is there. Their addresses are strangers'."""

from yarl import URL

from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.address_guard import is_plain_base
from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts, read_limited
from decentralized_vllm.protocol.errors import ContentTooLarge, ContentUnavailable
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.nodes import RegisteredNode
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.requester.node_status import MAX_STATUS_BYTES, status_in
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.peer_book import OUT_OF_SIGHT, ListedNode, Presence, Sighting

TIMEOUTS = HttpTimeouts(connect_s=3.0, read_s=3.0, total_s=5.0)


class RegistryNodes:
    """The port NodeSource: registered nodes whose endpoint is an address at all."""

    def __init__(self, network: Network) -> None:
        self._registry = network.node_registry

    async def nodes(self) -> tuple[ListedNode, ...]:
        with as_gateway_errors():
            found = await self._registry.nodes()
        listed = (_listed(node) for node in found if node.is_registered)
        return tuple(node for node in listed if node is not None)


class StatusProbe:
    """The port NodeProbe. `public_only` refuses addresses inside of our own networks.

    Close it with `close()`.
    """

    def __init__(self, network: Network, *, public_only: bool) -> None:
        self._deployment = Deployment(network.identity.chain_id, network.coordinator.address)
        self._http = ContentHttp(TIMEOUTS, public_only=public_only, per_host=4)

    async def look(self, node: ListedNode) -> Sighting:
        try:
            status = status_in(await self._told(node), node.operator, self._deployment)
        except (ContentUnavailable, ContentTooLarge, ValueError):
            return OUT_OF_SIGHT
        if status is None:
            return OUT_OF_SIGHT
        served = {ModelId(model.model_id): model.known_features() for model in status.ready_models}
        return Sighting(Presence.ONLINE if status.has_room else Presence.BUSY, served)

    async def close(self) -> None:
        await self._http.close()

    async def _told(self, node: ListedNode) -> bytes:
        url = f"{node.endpoint.rstrip('/')}/status"
        async with self._http.request("GET", url) as response:
            if response.status != 200:
                raise ContentUnavailable(f"{node.host_and_port} answers {response.status}")
            return await read_limited(response, MAX_STATUS_BYTES)


def _listed(node: RegisteredNode) -> ListedNode | None:
    endpoint = node.profile.endpoint
    if not is_plain_base(endpoint):
        return None
    url = URL(endpoint)
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host
    return ListedNode(node.operator, endpoint, f"{host}:{url.port}")
