"""Where a model's bytes come from: this node, peers that serve it, gateways; in that order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from decentralized_vllm.content.gateway import GatewayChain, GatewayStore
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import OrderedReads
from dvllm_worker.models.peers import ModelPeers
from dvllm_worker.models.served import ServedModel


class ModelOrigins:
    """`here` is what this node has: a new version often shares files with the one before."""

    def __init__(
        self, here: Sequence[ContentReads], gateways: GatewayStore, peers: ModelPeers | None
    ) -> None:
        self._here = here
        self._gateways = gateways
        self._peers = peers

    @asynccontextmanager
    async def open(self, model: ServedModel) -> AsyncIterator[ContentReads]:
        if self._peers is None:
            yield OrderedReads([*self._here, self._gateways])
            return
        async with self._peers.open(model) as peers:
            yield OrderedReads([*self._here, GatewayChain([peers, self._gateways])])
