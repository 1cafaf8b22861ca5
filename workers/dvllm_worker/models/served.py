"""What a node serves: the versions it joined."""

from dataclasses import dataclass

from decentralized_vllm.protocol.ids import Cid, ModelId, VersionNumber


@dataclass(frozen=True, slots=True)
class ServedModel:
    version: VersionNumber
    model_id: ModelId
    model_cid: Cid
