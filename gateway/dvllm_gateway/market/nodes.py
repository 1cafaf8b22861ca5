"""The registered nodes, and how to hear whether one is there. Their addresses are strangers'."""

from pydantic import BaseModel, ConfigDict, ValidationError
from yarl import URL

from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.address_guard import is_plain_base
from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts, read_limited
from decentralized_vllm.protocol.errors import ContentTooLarge, ContentUnavailable
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.nodes import RegisteredNode
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.peer_book import ListedNode, Presence

MAX_STATUS_BYTES = 256 * 1024
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


class _Status(BaseModel):
    """What a probe believes of `GET /status`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    node: str
    chain_id: int
    coordinator: str
    free_slots: int
    is_draining: bool


class StatusProbe:
    """The port NodeProbe. `public_only` refuses addresses inside of our own networks.

    Close it with `close()`.
    """

    def __init__(self, network: Network, *, public_only: bool) -> None:
        self._chain_id = network.identity.chain_id
        self._coordinator = network.coordinator.address
        self._http = ContentHttp(TIMEOUTS, public_only=public_only, per_host=4)

    async def presence(self, node: ListedNode) -> Presence:
        try:
            status = await self._status(node)
        except (ContentUnavailable, ContentTooLarge, ValidationError, ValueError):
            return Presence.OFFLINE
        if not self._is_this(status, node.operator):
            return Presence.OFFLINE
        has_room = status.free_slots > 0 and not status.is_draining
        return Presence.ONLINE if has_room else Presence.BUSY

    async def close(self) -> None:
        await self._http.close()

    async def _status(self, node: ListedNode) -> _Status:
        url = f"{node.endpoint.rstrip('/')}/status"
        async with self._http.request("GET", url) as response:
            if response.status != 200:
                raise ContentUnavailable(f"{node.host_and_port} answers {response.status}")
            return _Status.model_validate_json(await read_limited(response, MAX_STATUS_BYTES))

    def _is_this(self, status: _Status, operator: Address) -> bool:
        """An endpoint that several nodes claim belongs to the one it names itself."""
        return (
            status.node.lower() == operator.lower()
            and status.chain_id == self._chain_id
            and status.coordinator.lower() == self._coordinator.lower()
        )


def _listed(node: RegisteredNode) -> ListedNode | None:
    endpoint = node.profile.endpoint
    if not is_plain_base(endpoint):
        return None
    url = URL(endpoint)
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host
    return ListedNode(node.operator, endpoint, f"{host}:{url.port}")
