"""One bus for all that happens: kept first, then told to every subscriber in the same order."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from weakref import WeakSet

from dvllm_gateway.errors import GatewayError, SubscriberTooSlow
from dvllm_gateway.services.events import Event, EventName, Payload
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.stores import EventStore, NewEvent

log = logging.getLogger(__name__)

NOT_KEPT = frozenset({EventName.TASK_PROGRESS})
PAGE = 16  # each may bring a prompt of a megabyte, for each of those who come back
BURST = 32  # events; then the loop gets to those who hear them


@dataclass(frozen=True, slots=True)
class BusSettings:
    """`queue` is how many events a subscriber may lag behind, `backlog` how many may wait to be
    kept. `looks_every_s` is how soon events of other gateways are seen; None if there are none.
    """

    queue: int = 256
    backlog: int = 10_000
    looks_every_s: float | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Subscriber:
    events: deque[Event] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    is_too_slow: bool = False


class Bus:
    """The port EventBus, for who listens and for who tells. `run` must run for events to flow."""

    def __init__(
        self,
        store: EventStore,
        settings: BusSettings | None = None,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._settings = settings or BusSettings()
        self._clock_ms = clock_ms
        self._waiting: deque[NewEvent] = deque()
        self._work = asyncio.Event()
        self._subscribers: WeakSet[_Subscriber] = WeakSet()
        self._cursor: int | None = None
        self._n_handed_out = 0

    # ---------------------------------------------------------------- telling
    def tell(self, event: NewEvent) -> None:
        """Returns at once. In an outage of the database the oldest that wait are dropped."""
        if len(self._waiting) >= self._settings.backlog:
            self._waiting.popleft()
            log.error("event_dropped")
        self._waiting.append(event)
        self._work.set()

    async def announce(self, name: EventName, payload: Payload) -> None:
        """A public event."""
        self.tell(NewEvent(name, self._clock_ms(), payload))

    # ---------------------------------------------------------------- listening
    @property
    def is_heard(self) -> bool:
        return bool(self._subscribers)

    def subscribe(self, *, after: int | None = None) -> AsyncIterator[Event]:
        """See the port. Nothing told from this call on is missed. Raises SubscriberTooSlow."""
        subscriber = _Subscriber()
        self._subscribers.add(subscriber)
        return self._events(subscriber, after)

    async def _events(self, subscriber: _Subscriber, after: int | None) -> AsyncIterator[Event]:
        try:
            last = -1
            if after is not None:
                async for event in self._kept(after):
                    last = event.cursor
                    yield event
            while True:
                while subscriber.events:
                    event = subscriber.events.popleft()
                    if event.cursor > last or event.name in NOT_KEPT:
                        yield event
                if subscriber.is_too_slow:
                    raise SubscriberTooSlow("too many events wait to be read")
                subscriber.news.clear()
                await subscriber.news.wait()
        finally:
            self._subscribers.discard(subscriber)

    async def _kept(self, after: int) -> AsyncIterator[Event]:
        """A page at a time, until there is nothing newer."""
        while page := await self._store.read(after=after, limit=PAGE):
            for event in page:
                yield event
            after = page[-1].cursor

    # ---------------------------------------------------------------- the loop
    async def run(self) -> None:
        """Until cancelled. An outage of the database is waited out."""
        self._cursor = await self._store.last_cursor()
        retries = Retries()
        while True:
            try:
                await self._round(self._cursor)
                retries = Retries()
            except GatewayError as error:
                log.warning("events_wait", extra={"reason": error.message})
                await retries.pause()
                continue
            await self._rest()

    async def _round(self, cursor: int) -> None:
        """Keeps what was told here, and tells what was kept, here or elsewhere."""
        told, self._waiting = self._waiting, deque()
        kept = deque(await self._keep(told))
        is_shared = self._settings.looks_every_s is not None
        if is_shared and (not kept or kept[0].cursor != cursor + 1):
            await self._tell_others(cursor, before=kept[0].cursor if kept else None)
        for event in told:
            await self._hand_out(self._passing(event) if event.name in NOT_KEPT else kept.popleft())

    async def _tell_others(self, cursor: int, *, before: int | None) -> None:
        """What other gateways kept meanwhile. An append is one transaction: none is in between."""
        async for event in self._kept(cursor):
            if before is not None and event.cursor >= before:
                return
            await self._hand_out(event)

    def _passing(self, event: NewEvent) -> Event:
        return Event(self._cursor or 0, event.name, event.at_ms, event.payload, event.account)

    async def _keep(self, told: deque[NewEvent]) -> tuple[Event, ...]:
        to_keep = [event for event in told if event.name not in NOT_KEPT]
        if not to_keep:
            return ()
        try:
            return await self._store.append(to_keep)
        except BaseException:
            self._waiting.extendleft(reversed(told))
            raise

    async def _hand_out(self, event: Event) -> None:
        """A block ends hundreds of tasks at once: who reads all the time gets to it in between."""
        self._cursor = event.cursor
        for subscriber in self._subscribers:
            _push(subscriber, event, self._settings.queue)
        self._n_handed_out += 1
        if self._n_handed_out % BURST == 0:
            await asyncio.sleep(0)

    async def _rest(self) -> None:
        if not self._waiting:
            self._work.clear()
            try:
                async with asyncio.timeout(self._settings.looks_every_s):
                    await self._work.wait()
            except TimeoutError:
                pass


def _push(subscriber: _Subscriber, event: Event, queue: int) -> None:
    if len(subscriber.events) >= queue:
        subscriber.is_too_slow = True
    if not subscriber.is_too_slow:
        subscriber.events.append(event)
    subscriber.news.set()
