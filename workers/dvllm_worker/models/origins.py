"""Where a model's bytes come from: this node, peers that serve it, gateways; in that order."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from decentralized_vllm.content.gateway import GatewayChain, GatewayStore
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import OrderedReads
from decentralized_vllm.protocol.errors import ContentUnavailable
from dvllm_worker.models.peers import ModelPeers
from dvllm_worker.models.served import ServedModel

_NOT_PUBLIC = "is not a public address"
_AGAIN = re.compile(r"(?<=; )no source has \S+: ")  # of a list of sources within the list


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
        """What is unavailable is told with what its operator can do about it."""
        try:
            async with self._reads(model) as reads:
                yield reads
        except ContentUnavailable as error:
            message = _AGAIN.sub("", error.message)
            raise type(error)(message, hint=self._mend(message)) from error

    def _mend(self, message: str) -> str | None:
        if _NOT_PUBLIC in message:
            return "for sources on your own network: content.allow_private_addresses = true"
        return None if self._gateways.sources else "set content.gateways: models come from there"

    @asynccontextmanager
    async def _reads(self, model: ServedModel) -> AsyncIterator[ContentReads]:
        if self._peers is None:
            yield OrderedReads([*self._here, self._gateways])
            return
        async with self._peers.open(model) as peers:
            yield OrderedReads([*self._here, GatewayChain([peers, self._gateways])])
