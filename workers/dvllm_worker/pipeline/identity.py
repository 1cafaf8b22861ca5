"""Who this node is, and on which deployment."""

from dataclasses import dataclass

from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.ids import Address
from dvllm_worker.pipeline.rows import JobKey
from dvllm_worker.pipeline.watch import key_of


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    address: Address
    chain_id: int
    coordinator: Address

    def key_of(self, request: InferenceRequested) -> JobKey:
        return key_of(request, chain_id=self.chain_id, coordinator=self.coordinator)
