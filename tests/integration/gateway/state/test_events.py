"""Events: each kind comes back as it was told, in one order, and old ones go."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.ids import ModelId, Wei
from dvllm_gateway.services.events import (
    EarningsChanged,
    EventName,
    ModelRegistered,
    NodeChanged,
    Payload,
    Progress,
)
from dvllm_gateway.services.resources import Shares
from dvllm_gateway.services.stores import NewEvent
from dvllm_gateway.state import (
    Database,
    SqlAccountStore,
    SqlEventStore,
    SqlTaskStore,
    open_database,
)
from tests.support.gateway_tasks import ALICE, ASSIGNMENT, BOB, NODE, completed, new_task
from tests.support.postgresql import Cluster

TOLD: dict[EventName, Payload] = {
    EventName.TASK_PROGRESS: Progress(new_task().id, 12.5, 7),
    EventName.NODE_CHANGED: NodeChanged(NODE, "busy"),
    EventName.MODEL_REGISTERED: ModelRegistered(ModelId("a\x00b")),
    EventName.RESOURCES_CHANGED: Shares(1.0, 2.5, 0.0, 100.0),
    EventName.EARNINGS_CHANGED: EarningsChanged(Wei(10**30)),
}


def change(status: str) -> NewEvent:
    return NewEvent(EventName.NODE_CHANGED, 5, NodeChanged(NODE, status))


@pytest.mark.parametrize("name", TOLD)
async def test_event__of_each_kind__is_read_as_it_was_told(
    database: Database, name: EventName
) -> None:
    events = SqlEventStore(database)
    new = NewEvent(name, 5, TOLD[name], BOB)
    (told,) = await events.append([new])
    assert (told.name, told.at_ms, told.payload, told.account) == (name, 5, TOLD[name], BOB)
    assert await events.read(after=0, limit=10) == (told,)
    assert await events.last_cursor() == told.cursor


async def test_event__of_a_task__is_read_with_the_task_as_it_is_then(database: Database) -> None:
    await SqlAccountStore(database).grant(ALICE, Wei(10_000), reason="test", at_ms=1)
    tasks, events = SqlTaskStore(database), SqlEventStore(database)
    record = new_task()
    await tasks.create(record, ASSIGNMENT)
    (told,) = await events.append([NewEvent(EventName.TASK_SUBMITTED, 5, record, ALICE)])
    ended = completed(record)
    await tasks.finish(ended)
    assert await events.read(after=0, limit=10) == (replace(told, payload=ended),)


async def test_events__task_is_deleted_elsewhere_while_they_are_read__are_as_they_were(
    cluster: Cluster, elsewhere: Callable[[str, str, str], None]
) -> None:
    url = cluster.new_database()
    async with open_database(url) as database:
        await SqlAccountStore(database).grant(ALICE, Wei(10_000), reason="test", at_ms=1)
        record, events = new_task(), SqlEventStore(database)
        await SqlTaskStore(database).create(record, ASSIGNMENT)
        await events.append([NewEvent(EventName.TASK_SUBMITTED, 5, record, ALICE)])
        gone = "DELETE FROM event; DELETE FROM task_text; DELETE FROM task"
        elsewhere(url, "SELECT event", gone)
        assert [event.payload for event in await events.read(after=0, limit=10)] == [record]
        assert await events.read(after=0, limit=10) == ()


async def test_events__read_in_pages__come_once_and_in_order(database: Database) -> None:
    events = SqlEventStore(database)
    told = await events.append([change(str(number)) for number in range(5)])
    first = await events.read(after=0, limit=3)
    rest = await events.read(after=first[-1].cursor, limit=3)
    assert first + rest == told
    assert await events.read(after=told[-1].cursor, limit=3) == ()


async def test_append__several_callers_at_once__all_read_the_cursors_they_were_told(
    database: Database,
) -> None:
    events = SqlEventStore(database)
    assert await events.append([]) == ()
    groups = [[change(f"{group}.{number}") for number in range(group)] for group in range(1, 6)]
    told = await asyncio.gather(*(events.append(group) for group in groups))
    in_order = sorted((event for each in told for event in each), key=lambda event: event.cursor)
    assert await events.read(after=0, limit=100) == tuple(in_order)
    for group, each in zip(groups, told, strict=True):
        assert [event.payload for event in each] == [event.payload for event in group]
        assert [event.cursor for event in each] == sorted(event.cursor for event in each)


async def test_last_cursor__before_any_event__is_zero(database: Database) -> None:
    assert await SqlEventStore(database).last_cursor() == 0


async def test_events__told_by_many_while_one_reads__are_never_passed_by(
    database: Database,
) -> None:
    events = SqlEventStore(database)
    seen: list[str] = []

    async def read_all() -> None:
        cursor = 0
        while len(seen) < 200:
            for event in await events.read(after=cursor, limit=50):
                assert isinstance(event.payload, NodeChanged)
                seen.append(event.payload.status)
                cursor = event.cursor
            await asyncio.sleep(0)

    reader = asyncio.create_task(read_all())
    await asyncio.gather(*(events.append([change(f"{n}")]) for n in range(200)))
    async with asyncio.timeout(60):
        await reader
    assert sorted(seen, key=int) == [str(number) for number in range(200)]


async def test_events__more_than_are_kept__the_oldest_go(database: Database) -> None:
    events = SqlEventStore(database, n_kept=100)
    told = await events.append([change(str(number)) for number in range(512)])
    kept = await events.read(after=0, limit=1_000)
    assert kept == told[412:]
