"""The network as the gateway sees it: its own health, the chain's head, nodes and models."""

from dataclasses import dataclass
from enum import StrEnum

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, ModelId
from decentralized_vllm.protocol.jobs import Terms
from dvllm_gateway.services.resources import Shares


class Health(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"  # one of chain, content store and database does not answer
    UNHEALTHY = "unhealthy"  # no task can be taken


@dataclass(frozen=True, slots=True)
class Status:
    health: Health
    uptime_s: int
    version: str
    n_peers: int
    block_number: BlockNumber
    usage: Shares


@dataclass(frozen=True, slots=True)
class Peer:
    """A registered node. `last_seen_ms` is when it last answered the gateway; None for never."""

    operator: Address
    endpoint: str  # host:port
    is_connected: bool
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class ServingNode:
    """A node that answered the gateway lately and has an engine for some model.

    `features` is what that engine does beyond plain text, `has_room` whether a slot was free.
    """

    operator: Address
    has_room: bool
    features: frozenset[Feature]


@dataclass(frozen=True, slots=True)
class Model:
    """`registered_at_s` is the registration block's time, Unix seconds."""

    id: ModelId
    name: str
    description: str
    cid: Cid
    is_active: bool
    registered_at_s: int
    terms: Terms | None
