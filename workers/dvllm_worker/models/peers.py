"""Other nodes that serve a model, as sources of its bytes."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Protocol

from decentralized_vllm.content.address_guard import is_plain_base
from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.http_client import HttpTimeouts
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import Address, VersionNumber
from decentralized_vllm.protocol.models import ModelVersion
from decentralized_vllm.protocol.nodes import RegisteredNode
from dvllm_worker.models.served import ServedModel

log = logging.getLogger(__name__)

PAGE_SIZE = 100
MAX_PAGES = 4
MAX_ASKED = 24  # nodes that are asked whether they have the model
MAX_PEERS = 6  # of those that have it

# A peer is a stranger with a gateway behind it: it has less time, and rests longer.
TIMEOUTS = HttpTimeouts(connect_s=3.0, read_s=5.0, total_s=10.0)
SLOW_S = 4.0
PAUSE_S = 60.0


class VersionEntries(Protocol):
    async def version(self, number: VersionNumber) -> ModelVersion: ...

    async def entries_of(
        self, version: VersionNumber, offset: int, limit: int
    ) -> tuple[Address, ...]: ...


class Profiles(Protocol):
    async def nodes_of(self, operators: Sequence[Address]) -> list[RegisteredNode]: ...


class ModelPeers:
    """Picks a few nodes at random, so that no node is everybody's source."""

    def __init__(
        self,
        entries: VersionEntries,
        profiles: Profiles,
        *,
        me: Address,
        public_only: bool,
        random: Random,
    ) -> None:
        self._entries = entries
        self._profiles = profiles
        self._me = me
        self._public_only = public_only
        self._random = random

    @asynccontextmanager
    async def open(self, model: ServedModel) -> AsyncIterator[GatewayStore]:
        """Those that have the model now; perhaps nobody."""
        async with self._gateways(await self._endpoints(model.version)) as asked:
            urls = await asked.urls_with(model.model_cid)
        log.info("%d of %d peers offer %s", len(urls), len(asked.sources), model.model_id)
        async with self._gateways(urls[:MAX_PEERS]) as peers:
            yield peers

    def _gateways(self, urls: Sequence[str]) -> GatewayStore:
        return GatewayStore(
            urls,
            timeouts=TIMEOUTS,
            public_only=self._public_only,
            pause_s=PAUSE_S,
            slow_s=SLOW_S,
        )

    async def _endpoints(self, version: VersionNumber) -> list[str]:
        try:
            operators = await self._operators(version)
            mine, *others = await self._profiles.nodes_of([self._me, *operators])
        except ChainUnavailable as error:
            log.warning("peers are not known: %s", error.message)
            return []
        return endpoints(others, own=mine.profile.endpoint)

    async def _operators(self, version: VersionNumber) -> list[Address]:
        n_entries = (await self._entries.version(version)).n_entries
        offsets = list(range(0, n_entries, PAGE_SIZE))
        self._random.shuffle(offsets)
        found: set[Address] = set()
        for offset in offsets[:MAX_PAGES]:
            found.update(await self._entries.entries_of(version, offset, PAGE_SIZE))
        operators = sorted(found - {self._me})
        self._random.shuffle(operators)
        return operators[:MAX_ASKED]


def endpoints(nodes: Sequence[RegisteredNode], *, own: str) -> list[str]:
    """Where nodes say they listen, each address once and never the own one."""
    urls = (node.profile.endpoint.rstrip("/") for node in nodes)
    return [url for url in dict.fromkeys(urls) if url != own.rstrip("/") and is_plain_base(url)]
