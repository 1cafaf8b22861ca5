"""A model as the registry lists it, and its versions as the coordinator sells them."""

from dataclasses import dataclass

from decentralized_vllm.protocol.ids import Cid, ModelId, VersionNumber
from decentralized_vllm.protocol.jobs import Terms


@dataclass(frozen=True, slots=True)
class ModelInfo:
    model_id: ModelId
    model_cid: Cid
    name: str
    description: str
    registered_at_s: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version. `n_entries` is the length of the list that leases are drawn from."""

    number: VersionNumber
    model_id: ModelId
    model_cid: Cid
    terms: Terms
    n_entries: int
    serves_from_s: int


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """What serves new submits of a model now, and the announced version if another waits."""

    current: VersionNumber
    announced: VersionNumber | None
