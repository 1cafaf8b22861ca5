"""What a node says it can do: `GET /status` of its listener. Believed as far as it concerns it."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, VersionNumber
from decentralized_vllm.protocol.receipts import Deployment

MAX_STATUS_BYTES = 256 * 1024
MAX_MODELS = 256


@dataclass(frozen=True, slots=True)
class Sighting:
    """A node that serves the version asked about, and what its engine does beyond plain text."""

    features: frozenset[Feature]
    has_room: bool


def sighting_in(
    data: bytes, operator: Address, deployment: Deployment, version: VersionNumber
) -> Sighting | None:
    """None for what is no status of this node, and for one that does not serve the version now."""
    try:
        status = _Status.model_validate_json(data)
    except ValidationError:
        return None
    if not status.is_of(operator, deployment):
        return None
    served = [model for model in status.models if model.version == version and model.is_ready]
    if not served:
        return None
    return Sighting(served[0].known_features(), status.free_slots > 0 and not status.is_draining)


class _ModelStatus(BaseModel):
    """A feature that this library does not know is of no use to it."""

    model_config = ConfigDict(strict=True, extra="ignore")

    version: int
    is_ready: bool
    features: list[str] = []

    def known_features(self) -> frozenset[Feature]:
        told = set(self.features)
        return frozenset(feature for feature in Feature if feature.value in told)


class _Status(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    node: str
    chain_id: int
    coordinator: str
    free_slots: int
    is_draining: bool
    models: Annotated[list[_ModelStatus], Field(max_length=MAX_MODELS)] = []

    def is_of(self, operator: Address, deployment: Deployment) -> bool:
        """An endpoint that several nodes claim belongs to the one it names itself."""
        return (
            self.node.lower() == operator.lower()
            and self.chain_id == deployment.chain_id
            and self.coordinator.lower() == deployment.coordinator.lower()
        )
