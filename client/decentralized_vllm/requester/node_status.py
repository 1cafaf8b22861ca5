"""What a node says it can do: `GET /status` of its listener. Believed as far as it concerns it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, VersionNumber
from decentralized_vllm.protocol.receipts import Deployment

MAX_STATUS_BYTES = 256 * 1024
MAX_MODELS = 256


class ModelStatus(BaseModel):
    """A feature that this library does not know is of no use to it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model_id: Annotated[str, Field(max_length=256)]
    version: int
    is_ready: bool
    features: list[str] = []

    def known_features(self) -> frozenset[Feature]:
        told = set(self.features)
        return frozenset(feature for feature in Feature if feature.value in told)


class NodeStatus(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    node: str
    chain_id: int
    coordinator: str
    free_slots: int
    is_draining: bool
    models: Annotated[list[ModelStatus], Field(max_length=MAX_MODELS)] = []

    @property
    def has_room(self) -> bool:
        return self.free_slots > 0 and not self.is_draining

    @property
    def ready_models(self) -> list[ModelStatus]:
        return [model for model in self.models if model.is_ready]

    def is_of(self, operator: Address, deployment: Deployment) -> bool:
        """An endpoint that several nodes claim belongs to the one it names itself."""
        return (
            self.node.lower() == operator.lower()
            and self.chain_id == deployment.chain_id
            and self.coordinator.lower() == deployment.coordinator.lower()
        )


@dataclass(frozen=True, slots=True)
class Sighting:
    """A node that serves the version asked about, and what its engine does beyond plain text."""

    features: frozenset[Feature]
    has_room: bool


def status_in(data: bytes, operator: Address, deployment: Deployment) -> NodeStatus | None:
    """None for what is no status of this node."""
    try:
        status = NodeStatus.model_validate_json(data)
    except ValidationError:
        return None
    return status if status.is_of(operator, deployment) else None


def sighting_in(
    data: bytes, operator: Address, deployment: Deployment, version: VersionNumber
) -> Sighting | None:
    """None also for a node that does not serve the version now."""
    status = status_in(data, operator, deployment)
    if status is None:
        return None
    for model in status.ready_models:
        if model.version == version:
            return Sighting(model.known_features(), status.has_room)
    return None
