"""Old tasks go, a few at a time; what is not over stays, and so does the money."""

import pytest
from ulid import ULID

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.events import EventName
from dvllm_gateway.services.retention import DAY_MS, Kept, Retention
from dvllm_gateway.services.stores import NewEvent
from dvllm_gateway.services.tasks import TaskFilter, TaskRecord
from dvllm_gateway.state import (
    Database,
    SqlAccountStore,
    SqlEventStore,
    SqlOldTasks,
    SqlTaskStore,
)
from tests.support.gateway_tasks import ALICE, ASSIGNMENT, SENDER, completed, new_task

NOW_MS = 1_700_000_000_000
N_OLD = 5


@pytest.fixture
async def tasks(database: Database) -> SqlTaskStore:
    await SqlAccountStore(database).grant(ALICE, Wei(100_000), reason="test", at_ms=1)
    return SqlTaskStore(database)


async def made(tasks: SqlTaskStore, days_ago: float) -> TaskRecord:
    at_ms = int(NOW_MS - days_ago * DAY_MS)
    its_id = TaskId(str(ULID.from_timestamp(at_ms / 1000)))
    record = new_task(id=its_id, created_at_ms=at_ms)
    await tasks.create(record, ASSIGNMENT)
    return record


async def ended(tasks: SqlTaskStore, days_ago: float) -> TaskRecord:
    record = completed(await made(tasks, days_ago))
    assert await tasks.finish(record)
    return record


async def sweep(database: Database, **kept: int) -> None:
    retention = Retention(SqlOldTasks(database), Kept(**kept), clock_ms=lambda: NOW_MS)
    await retention.sweep(pause_s=0)


async def test_forget__limit__is_held(database: Database, tasks: SqlTaskStore) -> None:
    for _ in range(N_OLD):
        await ended(tasks, 40)
    old = SqlOldTasks(database)
    assert [await old.forget_texts(NOW_MS, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [await old.forget(NOW_MS, limit=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_sweep__texts__go_from_old_tasks_that_are_over(
    database: Database, tasks: SqlTaskStore
) -> None:
    old, new, waiting = await ended(tasks, 40), await ended(tasks, 20), await made(tasks, 40)
    await sweep(database, texts_days=30)

    bare = await tasks.get(old.id)
    assert bare is not None
    assert (bare.prompt, bare.response) == ("", None)
    assert (bare.state, bare.response_cid, bare.cost_wei) == (
        old.state,
        old.response_cid,
        old.cost_wei,
    )
    assert await tasks.get(new.id) == new
    assert await tasks.unfinished(SENDER) == ((waiting, ASSIGNMENT),)


async def test_sweep__task_that_ended_lately__keeps_its_texts_however_old_it_is(
    database: Database, tasks: SqlTaskStore
) -> None:
    record = await made(tasks, 40)
    late = completed(new_task(id=record.id, created_at_ms=NOW_MS - DAY_MS))
    await tasks.finish(late)
    await sweep(database, texts_days=30, tasks_days=30)
    found = await tasks.get(record.id)
    assert found is not None
    assert found.response == late.response


async def test_sweep__tasks__go_whole_and_leave_the_money(
    database: Database, tasks: SqlTaskStore
) -> None:
    accounts, events = SqlAccountStore(database), SqlEventStore(database)
    old = await ended(tasks, 40)
    await events.append([NewEvent(EventName.TASK_COMPLETED, NOW_MS, old, ALICE)])
    waiting = await made(tasks, 40)
    before = await accounts.balance(ALICE), await accounts.history(ALICE, limit=99, offset=0)
    await sweep(database, tasks_days=30)

    assert await tasks.get(old.id) is None
    assert await tasks.get(waiting.id) == waiting
    assert (await tasks.list(ALICE, TaskFilter())).total == 1
    assert before == (
        await accounts.balance(ALICE),
        await accounts.history(ALICE, limit=99, offset=0),
    )
    assert await events.read(after=0, limit=10) == ()


async def test_sweep__nothing_said__keeps_all(database: Database, tasks: SqlTaskStore) -> None:
    old = await ended(tasks, 4_000)
    await sweep(database)
    assert await tasks.get(old.id) == old
    assert (await tasks.list(AccountId("bob"), TaskFilter())).total == 0
