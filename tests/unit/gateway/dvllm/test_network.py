"""Peers, health and resources as the background finds them."""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace

import pytest

from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.ids import Address, BlockNumber, ModelId
from dvllm_gateway.errors import NetworkUnavailable, NoCapacity
from dvllm_gateway.services import health_watch, node_resources
from dvllm_gateway.services.events import EventName, NodeChanged, Payload
from dvllm_gateway.services.health_watch import HealthWatch, Part
from dvllm_gateway.services.network import Health, Peer, ServingNode
from dvllm_gateway.services.network_view import NetworkView
from dvllm_gateway.services.node_resources import NOTHING, HostResources, OperatorNode
from dvllm_gateway.services.peer_book import ListedNode, PeerBook, Presence, Sighting
from dvllm_gateway.services.resources import Allocation, Resources, Shares
from tests.support.gateway_in_memory.facts import NOON_MS, OWNER, WORKER
from tests.support.waiting import wait_until

NEAR = ListedNode(WORKER, "http://192.0.2.1:8090", "192.0.2.1:8090")
FAR = ListedNode(OWNER, "http://192.0.2.2:8090", "192.0.2.2:8090")


@dataclass
class World:
    """Which nodes are listed, and how each is."""

    listed: tuple[ListedNode, ...] = (NEAR, FAR)
    how: dict[Address, Presence] = field(default_factory=dict)
    models: dict[Address, dict[ModelId, frozenset[Feature]]] = field(default_factory=dict)
    is_silent: bool = False
    told: list[tuple[EventName, Payload]] = field(default_factory=list)
    now: int = NOON_MS

    async def nodes(self) -> tuple[ListedNode, ...]:
        if self.is_silent:
            raise NetworkUnavailable("the chain does not answer")
        return self.listed

    async def look(self, node: ListedNode) -> Sighting:
        presence = self.how.get(node.operator, Presence.OFFLINE)
        return Sighting(presence, self.models.get(node.operator, {}))

    async def announce(self, name: EventName, payload: Payload) -> None:
        self.told.append((name, payload))

    def book(self, **paces_s: float) -> PeerBook:
        return PeerBook(self, self, self.announce, now_ms=lambda: self.now, **paces_s)


async def whole_round(book: PeerBook) -> None:
    try:
        await book.go_round()
    finally:
        await book.search()


async def test_peers__one_answers__connected_and_seen() -> None:
    world = World(how={WORKER: Presence.BUSY})
    book = world.book()
    await whole_round(book)
    assert book.peers == (
        Peer(WORKER, "192.0.2.1:8090", True, NOON_MS),
        Peer(OWNER, "192.0.2.2:8090", False, None),
    )
    assert book.n_connected == 1
    assert world.told == [(EventName.NODE_CHANGED, NodeChanged(WORKER, "busy"))]


async def test_peers__one_falls_silent__last_seen_stays() -> None:
    world = World(how={WORKER: Presence.ONLINE})
    book = world.book()
    await whole_round(book)
    world.how, world.now = {}, NOON_MS + 10_000
    await whole_round(book)
    await whole_round(book)
    assert book.peers[0] == Peer(WORKER, "192.0.2.1:8090", False, NOON_MS)
    assert [payload.status for _, payload in world.told] == ["online", "offline"]  # type: ignore[union-attr]


async def test_peers__deregistered_or_moved__forgotten() -> None:
    world = World(how={WORKER: Presence.ONLINE, OWNER: Presence.ONLINE})
    book = world.book()
    await whole_round(book)
    world.listed = (replace(NEAR, endpoint="http://192.0.2.9:1", host_and_port="192.0.2.9:1"),)
    world.how = {}
    await whole_round(book)
    assert book.peers == (Peer(WORKER, "192.0.2.9:1", False, None),)


async def test_serving__by_what_nodes_say__with_their_features_and_room() -> None:
    json, plain = frozenset({Feature.JSON_OBJECT}), frozenset[Feature]()
    world = World(how={WORKER: Presence.BUSY, OWNER: Presence.ONLINE})
    world.models = {WORKER: {ModelId("m"): json}, OWNER: {ModelId("m"): plain, ModelId("n"): json}}
    book = world.book()
    assert book.serving(ModelId("m")) == ()
    await whole_round(book)
    assert book.serving(ModelId("m")) == (
        ServingNode(WORKER, False, json),
        ServingNode(OWNER, True, plain),
    )
    assert book.serving(ModelId("n")) == (ServingNode(OWNER, True, json),)
    world.models = {}
    await whole_round(book)
    assert book.serving(ModelId("m")) == ()


async def test_run__nobody_answers_yet__asked_again_soon() -> None:
    world = World()
    book = world.book(round_every_s=3600, lonely_every_s=0.001)
    running = asyncio.create_task(book.run())
    await asyncio.sleep(0.01)
    world.how = {WORKER: Presence.ONLINE}
    async with asyncio.timeout(60):
        while not book.n_connected:  # noqa: ASYNC110 - the book sets no event
            await asyncio.sleep(0.001)
    running.cancel()


async def test_run__many_let_who_asks_wait__news_of_the_others_come_all_the_same() -> None:
    class Hanging(World):
        async def look(self, node: ListedNode) -> Sighting:
            if node not in (NEAR, FAR):
                await asyncio.Event().wait()
            return await super().look(node)

    many = tuple(replace(FAR, operator=Address(f"0x{n:040x}")) for n in range(1, 101))
    world = Hanging(listed=(NEAR, *many[:40], FAR, *many[40:]), how={OWNER: Presence.ONLINE})
    book = world.book(round_every_s=0.001, lonely_every_s=0.001)
    running = asyncio.create_task(book.run())
    async with asyncio.timeout(60):
        while not book.n_connected:  # noqa: ASYNC110 - the book sets no event
            await asyncio.sleep(0.001)
        world.how = {}
        while book.n_connected:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
    assert len(book.peers) == 102
    running.cancel()


async def test_run__listed_while_many_hang__asked_before_all_of_those_were() -> None:
    @dataclass
    class Hanging(World):
        asked: deque[asyncio.Event] = field(default_factory=deque)
        n_asked: int = 0

        async def look(self, node: ListedNode) -> Sighting:
            if node != NEAR:
                self.n_asked += 1
                self.asked.append(is_over := asyncio.Event())
                await is_over.wait()
            return await super().look(node)

    many = tuple(replace(FAR, operator=Address(f"0x{n:040x}")) for n in range(1, 501))
    world = Hanging(listed=many, how={WORKER: Presence.ONLINE})
    book = world.book(round_every_s=0.001, lonely_every_s=0.001)
    running = asyncio.create_task(book.run())

    async def asks_another() -> None:
        await wait_until(lambda: bool(world.asked), what="somebody is asked")
        world.asked.popleft().set()
        await asyncio.sleep(0)

    while world.n_asked < len(many) + 100:
        await asks_another()
    world.listed = (*many, NEAR)
    await wait_until(lambda: len(book.peers) == 501, what="the new one is listed")
    n_before = world.n_asked
    while not book.n_connected and world.n_asked < n_before + len(many):
        await asks_another()
    assert book.n_connected
    assert world.n_asked < n_before + 200
    running.cancel()


async def test_search__unasked_ones__before_those_that_did_not_answer() -> None:
    @dataclass
    class Noting(World):
        asked: list[ListedNode] = field(default_factory=list)

        async def look(self, node: ListedNode) -> Sighting:
            self.asked.append(node)
            return await super().look(node)

    world = Noting(listed=(FAR,))
    book = world.book()
    await whole_round(book)
    world.listed = (FAR, NEAR)
    await whole_round(book)
    assert world.asked == [FAR, NEAR, FAR]


async def test_peers__chain_is_away__known_ones_are_asked_all_the_same() -> None:
    world = World()
    book = world.book()
    await whole_round(book)
    world.is_silent, world.how = True, {WORKER: Presence.ONLINE}
    with pytest.raises(NetworkUnavailable):
        await whole_round(book)
    assert book.peers[0].is_connected


def watch(**silent: bool) -> HealthWatch:
    async def head() -> BlockNumber:
        if silent.get("chain"):
            raise ChainUnavailable("no")
        return BlockNumber(7)

    def check(part: str):  # type: ignore[no-untyped-def]
        async def ask() -> None:
            if silent.get(part):
                raise NetworkUnavailable("no")

        return ask

    return HealthWatch(head, {Part.STORE: check("store"), Part.DATABASE: check("database")})


@pytest.mark.parametrize(
    ("silent", "health"),
    [
        ((), Health.HEALTHY),
        (("chain",), Health.DEGRADED),
        (("store",), Health.DEGRADED),
        (("chain", "store"), Health.UNHEALTHY),
        (("database",), Health.UNHEALTHY),
    ],
)
async def test_health__by_what_is_silent(silent: tuple[str, ...], health: Health) -> None:
    found = watch(**dict.fromkeys(silent, True))
    await found.look()
    assert found.health is health
    assert found.block_number == (0 if "chain" in silent else 7)


async def test_health__before_the_first_look__unhealthy() -> None:
    assert watch().health is Health.UNHEALTHY


async def test_health__a_part_hangs__silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_watch, "PATIENCE_S", 0.01)

    async def hang() -> None:
        await asyncio.Event().wait()

    async def head() -> BlockNumber:
        return BlockNumber(1)

    found = HealthWatch(head, {Part.STORE: hang})
    await found.look()
    assert found.silent == {Part.STORE}


class Machine:
    def measure(self) -> Shares:
        return Shares(45.2, 67.8, 0.0, 3.1)


async def test_host__without_a_node__measured_and_nothing_to_allot() -> None:
    host = HostResources(Machine())
    running = asyncio.create_task(host.run())
    await wait_until(lambda: host.machine != NOTHING, what="a measurement")
    running.cancel()
    assert await host.read() == Resources(NOTHING, Shares(45.2, 67.8, 0.0, 3.1), NOTHING)
    with pytest.raises(NoCapacity):
        await host.change(Allocation(cpu=1))


@dataclass
class Reading:
    resources: Resources
    machine: Shares


@dataclass
class Node:
    """A node that answers while `is_there`."""

    allocation: Shares = field(default_factory=lambda: Shares(90, 80, 0, 70))
    is_there: bool = True

    async def read(self) -> Reading:
        if not self.is_there:
            raise NetworkUnavailable("the operator's node does not answer")
        usage = Shares(8.5, 12.3, 0, 3.1)
        resources = Resources(self.allocation, usage, Shares(90, 80, 0, 70))
        return Reading(resources, Shares(45.2, 67.8, 0, 50))

    async def change(self, wish: Allocation) -> Reading:
        self.allocation = replace(self.allocation, cpu=wish.cpu or self.allocation.cpu)
        return await self.read()


async def test_node__changed__read_again_and_announced() -> None:
    world, node = World(), Node()
    resources = OperatorNode(node, world.announce)
    assert (await resources.read()).usage.cpu == 8.5
    changed = await resources.change(Allocation(cpu=15))
    assert changed.allocation == Shares(15, 80, 0, 70) == (await resources.read()).allocation
    assert world.told == [(EventName.RESOURCES_CHANGED, Shares(15, 80, 0, 70))]
    assert resources.machine == Shares(45.2, 67.8, 0, 50)


async def test_node__falls_silent__its_old_figures_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_resources, "MEASURE_EVERY_S", 0.01)
    node = Node()
    resources = OperatorNode(node, World().announce)
    running = asyncio.create_task(resources.run())
    await wait_until(lambda: resources.machine != NOTHING, what="a reading")
    node.is_there = False
    await wait_until(lambda: resources.machine == NOTHING, what="the silence to be noticed")
    with pytest.raises(NetworkUnavailable):
        await resources.read()
    running.cancel()


async def test_view__status__what_was_found_last() -> None:
    world, health = World(how={WORKER: Presence.ONLINE}), watch()
    book = world.book()
    await whole_round(book)
    await health.look()
    gauge = HostResources(Machine())

    async def read_owner() -> Address:
        return OWNER

    view = NetworkView(
        health=health, peers=book, gauge=gauge, read_owner=read_owner, version="1.2.3"
    )
    status = await view.status()
    assert (status.health, status.block_number, status.n_peers) == (Health.HEALTHY, 7, 1)
    assert (status.version, status.usage) == ("1.2.3", NOTHING)
    assert status.uptime_s >= 0
    assert await view.peers() == book.peers
    assert await view.owner() == OWNER
