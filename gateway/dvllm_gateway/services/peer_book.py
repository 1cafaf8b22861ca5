"""The registered nodes, and which of them answer: asked in the background, never by a request."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import nsmallest
from typing import Protocol

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, ModelId
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.services.announcing import Announce
from dvllm_gateway.services.events import EventName, NodeChanged
from dvllm_gateway.services.network import Peer, ServingNode

log = logging.getLogger(__name__)

ROUND_EVERY_S = 10.0
LONELY_EVERY_S = 1.0  # while nobody answers: what needs a node is refused until one is known
PROBES_AT_ONCE = 16
SEARCHES_AT_ONCE = 64  # whoever registers may let all who ask wait, and it costs little
TURNS_OF_NEW_ONES = 3  # before those that were asked as often in vain: it may just be starting


class Presence(StrEnum):
    ONLINE = "online"
    BUSY = "busy"  # it answers, with no slot free or while it drains
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A registered node that says where it can be reached. `endpoint` is its URL."""

    operator: Address
    endpoint: str
    host_and_port: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """How a node was found. `models` are those it answers for, with its engine's features."""

    presence: Presence
    models: Mapping[ModelId, frozenset[Feature]] = field(default_factory=dict)


OUT_OF_SIGHT = Sighting(Presence.OFFLINE)


class NodeSource(Protocol):
    async def nodes(self) -> tuple[ListedNode, ...]:
        """Raises NetworkUnavailable."""


class NodeProbe(Protocol):
    async def look(self, node: ListedNode) -> Sighting:
        """Never raises: who does not answer as this node is offline."""


@dataclass(slots=True)
class _Entry:
    node: ListedNode
    sighting: Sighting = OUT_OF_SIGHT
    last_seen_ms: int | None = None
    round: int = 0  # in which it was asked last; 0: never
    n_unanswered: int = 0  # since it was seen
    is_asked: bool = False  # just now

    @property
    def turn(self) -> tuple[int, int]:
        """Whose comes first: new ones wait behind few, and can not push themselves in for long."""
        return min(self.n_unanswered, TURNS_OF_NEW_ONES), self.round

    @property
    def is_in_sight(self) -> bool:
        return self.sighting.presence is not Presence.OFFLINE

    def peer(self) -> Peer:
        return Peer(
            operator=self.node.operator,
            endpoint=self.node.host_and_port,
            is_connected=self.is_in_sight,
            last_seen_ms=self.last_seen_ms,
        )

    def serving(self, features: frozenset[Feature]) -> ServingNode:
        has_room = self.sighting.presence is Presence.ONLINE
        return ServingNode(self.node.operator, has_room, features)


class PeerBook:
    """`run` goes round the nodes in sight and, beside that, searches for the others: no node that
    hangs makes others wait. `peers` is what was found so far.
    """

    def __init__(
        self,
        source: NodeSource,
        probe: NodeProbe,
        announce: Announce,
        *,
        now_ms: Callable[[], int],
        round_every_s: float = ROUND_EVERY_S,
        lonely_every_s: float = LONELY_EVERY_S,
    ) -> None:
        self._source = source
        self._probe = probe
        self._announce = announce
        self._now_ms = now_ms
        self._round_every_s = round_every_s
        self._lonely_every_s = lonely_every_s
        self._entries: dict[Address, _Entry] = {}
        self._serving: dict[ModelId, list[ServingNode]] = {}
        self._round = 0
        self._next: deque[_Entry] = deque()
        self._is_listed = asyncio.Event()
        self.peers: tuple[Peer, ...] = ()

    @property
    def n_connected(self) -> int:
        return sum(peer.is_connected for peer in self.peers)

    def serving(self, model_id: ModelId) -> tuple[ServingNode, ...]:
        """As the last round found them: asked with every request."""
        return tuple(self._serving.get(model_id, ()))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._search_on())
            while True:
                try:
                    await self.go_round()
                except GatewayError as error:
                    log.warning("nodes wait for the chain: %s", error.message)
                is_lonely = not self.n_connected
                await asyncio.sleep(self._lonely_every_s if is_lonely else self._round_every_s)

    async def go_round(self) -> None:
        """Asks those in sight. Raises NetworkUnavailable; those known before are asked even so."""
        self._round += 1
        try:
            self._note_listed(await self._source.nodes())
        finally:
            self._is_listed.set()
            await self._ask_those_in_sight()

    async def search(self) -> None:
        """Asks those out of sight once in this round; who is listed meanwhile waits for few."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SEARCHES_AT_ONCE):
                group.create_task(self._ask_in_turn())
        self._publish()

    async def _search_on(self) -> None:
        """With each round, or after it where there are many."""
        while True:
            await self._is_listed.wait()
            self._is_listed.clear()
            await self.search()

    async def _ask_those_in_sight(self) -> None:
        gate = asyncio.Semaphore(PROBES_AT_ONCE)

        async def ask(entry: _Entry) -> None:
            async with gate:
                await self._ask(entry)

        await asyncio.gather(*(ask(e) for e in self._entries.values() if e.is_in_sight))
        self._publish()

    async def _ask_in_turn(self) -> None:
        while (entry := self._next_out_of_sight()) is not None:
            await self._ask(entry)

    def _next_out_of_sight(self) -> _Entry | None:
        """A few are chosen at a time: to look through all for each would take long."""
        if not self._next:
            waiting = [e for e in self._entries.values() if self._is_to_be_asked(e)]
            self._next.extend(nsmallest(SEARCHES_AT_ONCE, waiting, key=lambda e: e.turn))
        return self._next.popleft() if self._next else None

    def _is_to_be_asked(self, entry: _Entry) -> bool:
        is_left = entry.round < self._round and not entry.is_asked
        return is_left and not entry.is_in_sight

    def _publish(self) -> None:
        self.peers = tuple(entry.peer() for entry in self._entries.values())
        self._note_serving()

    def _note_listed(self, nodes: tuple[ListedNode, ...]) -> None:
        known = self._entries
        self._entries = {}
        for node in nodes:
            entry = known.get(node.operator)
            if entry is None or entry.node != node:
                entry = _Entry(node)
            self._entries[node.operator] = entry

    def _note_serving(self) -> None:
        self._serving = {}
        for entry in self._entries.values():
            for model_id, features in entry.sighting.models.items():
                self._serving.setdefault(model_id, []).append(entry.serving(features))

    async def _ask(self, entry: _Entry) -> None:
        entry.round, entry.is_asked = self._round, True
        sighting = await self._probe.look(entry.node)
        entry.is_asked = False
        if self._entries.get(entry.node.operator) is not entry:
            return  # deregistered or moved meanwhile
        before, entry.sighting = entry.sighting, sighting
        entry.n_unanswered += 1
        if entry.is_in_sight:
            entry.last_seen_ms, entry.n_unanswered = self._now_ms(), 0
        if sighting.presence is not before.presence:
            self._publish()  # the others may take their time
            change = NodeChanged(entry.node.operator, sighting.presence)
            await self._announce(EventName.NODE_CHANGED, change)
