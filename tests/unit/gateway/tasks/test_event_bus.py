"""The bus: order, replay, slow subscribers, and events of other gateways."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from decentralized_vllm.protocol.ids import ModelId
from dvllm_gateway.errors import NetworkUnavailable, SubscriberTooSlow
from dvllm_gateway.ids import new_task_id
from dvllm_gateway.services.event_bus import Bus, BusSettings
from dvllm_gateway.services.events import Event, EventName, ModelRegistered, Progress
from dvllm_gateway.services.stores import NewEvent
from dvllm_gateway.state.memory import MemoryEventStore


def event(name: str) -> NewEvent:
    return NewEvent(EventName.MODEL_REGISTERED, 1, ModelRegistered(ModelId(name)))


def progress() -> NewEvent:
    return NewEvent(EventName.TASK_PROGRESS, 1, Progress(new_task_id(), 5.0, 1))


@asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[Bus]:
    loop = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def take(events: AsyncIterator[Event], n: int) -> list[Event]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(n)]


def names(events: Sequence[Event]) -> list[str]:
    return [
        e.payload.model_id if isinstance(e.payload, ModelRegistered) else e.name for e in events
    ]


async def test_tell__every_subscriber_hears_all_in_order_with_growing_cursors() -> None:
    async with running(Bus(MemoryEventStore())) as bus:
        first, second = bus.subscribe(), bus.subscribe()
        for name in "abc":
            bus.tell(event(name))
        heard = await take(first, 3)
        assert names(heard) == ["a", "b", "c"] == names(await take(second, 3))
        assert [e.cursor for e in heard] == [1, 2, 3]


class RecordingStore(MemoryEventStore):
    """Notes how many events are asked for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: set[int] = set()

    async def read(self, *, after: int, limit: int) -> tuple[Event, ...]:
        self.limits.add(limit)
        return await super().read(after=after, limit=limit)


async def test_subscribe__after_a_cursor__holds_no_more_than_a_few_events_at_once() -> None:
    store = RecordingStore()
    kept = await store.append([event(str(n)) for n in range(100)])
    async with running(Bus(store)) as bus:
        replayed = await take(bus.subscribe(after=0), 100)
    assert replayed == [*kept]
    assert max(store.limits) <= 16  # each may bring a prompt of a megabyte


async def test_subscribe__after_a_cursor__kept_ones_then_new_ones_none_twice() -> None:
    store = MemoryEventStore()
    async with running(Bus(store)) as bus:
        live = bus.subscribe()
        for name in "abc":
            bus.tell(event(name))
        await take(live, 3)
        late = bus.subscribe(after=1)
        bus.tell(event("d"))
        assert names(await take(late, 3)) == ["b", "c", "d"]
        from_the_start = bus.subscribe(after=0)
        assert names(await take(from_the_start, 4)) == ["a", "b", "c", "d"]


async def test_subscribe__from_now_on__even_before_it_is_iterated() -> None:
    async with running(Bus(MemoryEventStore())) as bus:
        bus.tell(event("a"))
        early = bus.subscribe()
        bus.tell(event("b"))
        assert names(await take(early, 2)) == ["a", "b"]


async def test_progress__is_told_and_not_kept() -> None:
    store = MemoryEventStore()
    async with running(Bus(store)) as bus:
        heard = bus.subscribe(after=0)
        bus.tell(event("a"))
        assert names(await take(heard, 1)) == ["a"]
        bus.tell(progress())
        (told,) = await take(heard, 1)
        assert (told.name, told.cursor) == (EventName.TASK_PROGRESS, 1)
        assert await store.last_cursor() == 1


async def test_subscriber__does_not_keep_up__is_ended_and_others_are_not() -> None:
    async with running(Bus(MemoryEventStore(), BusSettings(queue=5))) as bus:
        slow, quick = bus.subscribe(), bus.subscribe()
        for n in range(10):
            bus.tell(event(str(n)))
            await take(quick, 1)
        assert len(await take(slow, 5)) == 5
        with pytest.raises(SubscriberTooSlow):
            await anext(slow)


async def test_subscriber__reads_all_the_time__hears_however_many_come_at_once() -> None:
    async with running(Bus(MemoryEventStore(), BusSettings(queue=100))) as bus:
        heard = asyncio.create_task(take(bus.subscribe(), 1000))
        await asyncio.sleep(0)
        for n in range(1000):
            bus.tell(event(str(n)))
        assert names(await heard) == [str(n) for n in range(1000)]


async def test_subscriber__reads_all_the_time__hears_however_many_came_elsewhere() -> None:
    store = MemoryEventStore()
    async with running(Bus(store, BusSettings(queue=100, looks_every_s=0.01))) as bus:
        heard = asyncio.create_task(take(bus.subscribe(), 1000))
        await asyncio.sleep(0.05)
        await store.append([event(str(n)) for n in range(1000)])
        assert names(await heard) == [str(n) for n in range(1000)]


async def test_subscribers__that_left__are_forgotten() -> None:
    bus = Bus(MemoryEventStore())
    bus.subscribe()  # never iterated
    events = bus.subscribe()
    assert bus.is_heard
    del events
    assert not bus.is_heard


async def test_database_is_away__events_wait_and_keep_their_order() -> None:
    class Flaky(MemoryEventStore):
        n_failures = 2

        async def append(self, events: Sequence[NewEvent]) -> tuple[Event, ...]:
            if self.n_failures:
                self.n_failures -= 1
                bus.tell(event("later"))
                raise NetworkUnavailable("no database")
            return await super().append(events)

    bus = Bus(Flaky())
    async with running(bus):
        heard = bus.subscribe()
        bus.tell(event("a"))
        assert names(await take(heard, 3)) == ["a", "later", "later"]


async def test_backlog__is_bounded__the_oldest_go() -> None:
    bus = Bus(MemoryEventStore(), BusSettings(backlog=3))
    heard = bus.subscribe()
    for n in range(5):
        bus.tell(event(str(n)))
    async with running(bus):
        assert names(await take(heard, 3)) == ["2", "3", "4"]


async def test_two_gateways__each_hears_the_other_in_one_order() -> None:
    store, settings = MemoryEventStore(), BusSettings(looks_every_s=0.02)
    async with running(Bus(store, settings)) as one, running(Bus(store, settings)) as two:
        at_one, at_two = one.subscribe(), two.subscribe()
        await asyncio.sleep(0)
        one.tell(event("a"))
        assert names(await take(at_two, 1)) == ["a"]
        two.tell(event("b"))
        one.tell(event("c"))
        heard = await take(at_one, 3)
        assert names(heard)[0] == "a"
        assert sorted(names(heard)) == ["a", "b", "c"]
        assert names(await take(at_two, 2)) == names(heard)[1:]
