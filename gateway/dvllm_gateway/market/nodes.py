"""The registered nodes, and how to hear whether one is there. Their addresses are strangers'."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.address_guard import is_plain_base
from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts, read_limited
from decentralized_vllm.protocol.errors import ContentTooLarge, ContentUnavailable
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, ModelId
from decentralized_vllm.protocol.nodes import RegisteredNode
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.peer_book import OUT_OF_SIGHT, ListedNode, Presence, Sighting

MAX_STATUS_BYTES = 256 * 1024
MAX_MODELS = 256
ModelName = Annotated[str, Field(max_length=256)]
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


class _ModelStatus(BaseModel):
    """A feature that this gateway does not know is of no use to it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model_id: ModelName
    is_ready: bool
    features: list[str] = []

    def known_features(self) -> frozenset[Feature]:
        told = set(self.features)
        return frozenset(feature for feature in Feature if feature.value in told)


class _Status(BaseModel):
    """What a probe believes of `GET /status`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    node: str
    chain_id: int
    coordinator: str
    free_slots: int
    is_draining: bool
    models: list[_ModelStatus] = Field(default=[], max_length=MAX_MODELS)

    def served(self) -> Mapping[ModelId, frozenset[Feature]]:
        return {
            ModelId(model.model_id): model.known_features()
            for model in self.models
            if model.is_ready
        }


class StatusProbe:
    """The port NodeProbe. `public_only` refuses addresses inside of our own networks.

    Close it with `close()`.
    """

    def __init__(self, network: Network, *, public_only: bool) -> None:
        self._chain_id = network.identity.chain_id
        self._coordinator = network.coordinator.address
        self._http = ContentHttp(TIMEOUTS, public_only=public_only, per_host=4)

    async def look(self, node: ListedNode) -> Sighting:
        try:
            status = await self._status(node)
        except (ContentUnavailable, ContentTooLarge, ValidationError, ValueError):
            return OUT_OF_SIGHT
        if not self._is_this(status, node.operator):
            return OUT_OF_SIGHT
        has_room = status.free_slots > 0 and not status.is_draining
        return Sighting(Presence.ONLINE if has_room else Presence.BUSY, status.served())

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
