"""Tasks in the database: what was written is read, and money follows their state."""

import asyncio
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.ids import Address, JobId, Wei
from dvllm_gateway.errors import InsufficientBalance, Kind
from dvllm_gateway.ids import new_task_id
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import Movement
from dvllm_gateway.services.tasks import Failure, TaskFilter, TaskRecord, TaskState
from dvllm_gateway.state import Database, SqlAccountStore, SqlTaskStore, open_database
from dvllm_gateway.state.tasks import _finish
from tests.support.gateway_tasks import (
    ALICE,
    ASSIGNMENT,
    BOB,
    NODE,
    SENDER,
    completed,
    new_task,
    submitted,
)


@pytest.fixture
async def tasks(database: Database) -> SqlTaskStore:
    await SqlAccountStore(database).grant(ALICE, Wei(10_000), reason="test", at_ms=1)
    return SqlTaskStore(database)


@pytest.fixture
def accounts(database: Database) -> SqlAccountStore:
    return SqlAccountStore(database)


async def made(tasks: SqlTaskStore, record: TaskRecord) -> TaskRecord:
    await tasks.create(record, ASSIGNMENT)
    return record


async def test_create__credit_covers_it__reads_as_written_and_holds_the_money(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    record = await made(tasks, new_task())
    assert await tasks.get(record.id) == record
    assert await accounts.balance(ALICE) == Balance(Wei(9_000), Wei(1_000))


async def test_create__too_little_credit__nothing_is_written(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    record = new_task(reserved_wei=Wei(10_001))
    with pytest.raises(InsufficientBalance) as caught:
        await tasks.create(record, ASSIGNMENT)
    error = caught.value
    assert (error.required_wei, error.available_wei, error.balance_wei) == (10_001, 10_000, 10_000)
    assert await tasks.get(record.id) is None
    assert (await accounts.history(ALICE, limit=10, offset=0)).total == 1


async def test_create__unknown_account__has_no_credit(tasks: SqlTaskStore) -> None:
    with pytest.raises(InsufficientBalance):
        await tasks.create(new_task(account=BOB), ASSIGNMENT)


async def test_create__same_task_twice__holds_the_money_once(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    record = await made(tasks, new_task())
    with pytest.raises(Exception, match=r"IntegrityError|UniqueViolation"):
        await tasks.create(record, ASSIGNMENT)
    assert await accounts.balance(ALICE) == Balance(Wei(9_000), Wei(1_000))


async def test_create__hundred_at_once_for_ten__ten_succeed(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    results = await asyncio.gather(
        *(tasks.create(new_task(), ASSIGNMENT) for _ in range(100)), return_exceptions=True
    )
    refused = [result for result in results if result is not None]
    assert len(refused) == 90
    assert all(isinstance(error, InsufficientBalance) for error in refused)
    assert await accounts.balance(ALICE) == Balance(Wei(0), Wei(10_000))


async def test_create__hundred_at_once_through_two_gateways__never_overspend(
    tasks: SqlTaskStore, accounts: SqlAccountStore, location: str
) -> None:
    async with open_database(location) as of_another:
        both = (tasks, SqlTaskStore(of_another))
        results = await asyncio.gather(
            *(both[n % 2].create(new_task(), ASSIGNMENT) for n in range(100)),
            return_exceptions=True,
        )
    assert sum(result is None for result in results) == 10
    assert await accounts.balance(ALICE) == Balance(Wei(0), Wei(10_000))


async def test_create__amounts_beyond_64_bits__stay_exact(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    huge = Wei(2**256 - 1 - 10_000)
    await accounts.grant(ALICE, huge, reason="", at_ms=2)
    record = await made(tasks, new_task(reserved_wei=Wei(huge - 1)))
    found = await tasks.get(record.id)
    assert found is not None
    assert found.reserved_wei == huge - 1
    assert await accounts.balance(ALICE) == Balance(Wei(10_001), Wei(huge - 1))


async def test_create__text_no_database_likes__is_kept(tasks: SqlTaskStore) -> None:
    record = await made(tasks, new_task(prompt="a\x00b \ud800 🚀"))
    found = await tasks.get(record.id)
    assert found is not None
    assert found.prompt == "a\x00b \ud800 🚀"


async def test_update__open_task__changes_and_moves_no_money(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    record = submitted(await made(tasks, new_task()))
    await tasks.update([record])
    assert await tasks.get(record.id) == record
    assert await accounts.balance(ALICE) == Balance(Wei(9_000), Wei(1_000))


async def test_update__ended_task__stays_ended(tasks: SqlTaskStore) -> None:
    record = await made(tasks, new_task())
    ended = completed(record)
    await tasks.finish(ended)
    await tasks.update([submitted(record)])
    assert await tasks.get(record.id) == ended


async def test_update__ended_record__is_refused(tasks: SqlTaskStore) -> None:
    record = await made(tasks, new_task())
    with pytest.raises(ValueError, match="is over"):
        await tasks.update([completed(record)])


async def test_finish__completed__charges_the_cost_and_frees_the_rest(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    record = completed(await made(tasks, new_task()), cost_wei=400)
    assert await tasks.finish(record)
    assert await tasks.get(record.id) == record
    assert await accounts.balance(ALICE) == Balance(Wei(9_600), Wei(0))
    lines = (await accounts.history(ALICE, limit=10, offset=0)).lines
    assert [(line.movement, line.available_wei, line.reserved_wei) for line in lines] == [
        (Movement.RELEASE, 600, -600),
        (Movement.CHARGE, 0, -400),
        (Movement.RESERVE, -1_000, 1_000),
        (Movement.GRANT, 10_000, 0),
    ]
    assert {line.task_id for line in lines} == {record.id, None}


@pytest.mark.parametrize("kind", [Kind.TASK_FAILED, Kind.PROMPT_TOO_LONG, Kind.PROMPT_REFUSED])
async def test_finish__failed__costs_nothing_and_says_why(
    tasks: SqlTaskStore, accounts: SqlAccountStore, kind: Kind
) -> None:
    record = await made(tasks, new_task())
    failure = Failure(kind, "the node's model\x00broke")
    failed = replace(record, state=TaskState.FAILED, completed_at_ms=5, failure=failure)
    assert await tasks.finish(failed)
    assert await tasks.get(record.id) == failed
    assert await accounts.balance(ALICE) == Balance(Wei(10_000), Wei(0))


async def test_finish__many_at_once__happens_once(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    record = completed(await made(tasks, new_task()), cost_wei=400)
    finished = await asyncio.gather(*(tasks.finish(record) for _ in range(20)))
    assert sorted(finished) == [False] * 19 + [True]
    assert await accounts.balance(ALICE) == Balance(Wei(9_600), Wei(0))


async def test_finish__two_ends_of_each_at_once__one_counts_and_its_owner_pays_for_it(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    await accounts.grant(BOB, Wei(10_000), reason="test", at_ms=1)
    opened = [replace(new_task(), account=account) for account in (ALICE, BOB) for _ in range(6)]
    for record in opened:
        await tasks.create(record, ASSIGNMENT)
    cheap = [completed(record, cost_wei=100) for record in opened]
    dear = [completed(record, cost_wei=300) for record in opened]
    finished = await asyncio.gather(*(tasks.finish(end) for end in (*cheap, *dear)))
    counted = [end for end, counts in zip((*cheap, *dear), finished, strict=True) if counts]
    assert {end.id: end for end in counted} == {e.id: await tasks.get(e.id) for e in opened}
    assert len(counted) == len(opened)
    for account in (ALICE, BOB):
        paid_wei = sum(end.cost_wei for end in counted if end.account == account)
        assert await accounts.balance(account) == Balance(Wei(10_000 - paid_wei), Wei(0))


async def test_finish__together__the_ledger_has_them_in_the_order_they_came(
    tasks: SqlTaskStore, accounts: SqlAccountStore, database: Database
) -> None:
    ends = [completed(await made(tasks, new_task()), cost_wei=100) for _ in range(4)]
    assert await database.write(lambda tx: _finish(tx, ends)) == [True] * 4
    lines = (await accounts.history(ALICE, limit=8, offset=0)).lines
    charged = [line.task_id for line in lines if line.movement is Movement.CHARGE]
    assert charged == [end.id for end in reversed(ends)]


@pytest.mark.parametrize("cost_wei", [-1, 1_001])
async def test_finish__cost_outside_of_the_reservation__is_refused(
    tasks: SqlTaskStore, cost_wei: int
) -> None:
    record = await made(tasks, new_task())
    with pytest.raises(ValueError, match="can not end"):
        await tasks.finish(completed(record, cost_wei=cost_wei))


async def test_finish__open_record__is_refused(tasks: SqlTaskStore) -> None:
    record = await made(tasks, new_task())
    with pytest.raises(ValueError, match="can not end"):
        await tasks.finish(record)


async def test_finish__unknown_task__changes_nothing(
    tasks: SqlTaskStore, accounts: SqlAccountStore
) -> None:
    assert not await tasks.finish(completed(new_task()))
    assert await accounts.balance(ALICE) == Balance(Wei(10_000), Wei(0))


async def test_of_job__number_of_one_sender__finds_its_task(tasks: SqlTaskStore) -> None:
    record = submitted(await made(tasks, new_task()), job_id=2**200)
    await tasks.update([record])
    assert await tasks.of_job(SENDER, JobId(2**200)) == record
    assert await tasks.of_job(SENDER, JobId(1)) is None
    assert await tasks.of_job(NODE, JobId(2**200)) is None


async def test_of_job__number_given_again_by_a_reorganisation__finds_the_newer(
    tasks: SqlTaskStore,
) -> None:
    for number in range(2):
        record = submitted(await made(tasks, new_task(prompt=f"prompt {number}")))
        await tasks.update([record])
    found = await tasks.of_job(SENDER, JobId(7))
    assert found is not None
    assert found.prompt == "prompt 1"


async def test_list__several_tasks__newest_first_without_texts(tasks: SqlTaskStore) -> None:
    records = [await made(tasks, new_task(reserved_wei=Wei(1))) for _ in range(5)]
    page = await tasks.list(ALICE, TaskFilter(limit=3))
    assert page.total == 5
    expected = sorted((record.id for record in records), reverse=True)[:3]
    assert [record.id for record in page.tasks] == expected
    assert {(record.prompt, record.response) for record in page.tasks} == {("", None)}


async def test_list__filters__count_what_matches(tasks: SqlTaskStore) -> None:
    old = await made(tasks, new_task(created_at_ms=1_000))
    ended = completed(await made(tasks, new_task(created_at_ms=2_000)))
    await tasks.finish(ended)
    await made(tasks, new_task(created_at_ms=3_000))
    pending = await tasks.list(ALICE, TaskFilter(states=frozenset({TaskState.PENDING})))
    assert pending.total == 2
    late = await tasks.list(ALICE, TaskFilter(since_ms=2_000))
    assert late.total == 2
    assert old.id not in {record.id for record in late.tasks}
    assert (await tasks.list(BOB, TaskFilter())).total == 0


async def test_unfinished__after_some_ended__gives_the_rest_with_their_assignment(
    tasks: SqlTaskStore,
) -> None:
    ended = completed(await made(tasks, new_task()))
    await tasks.finish(ended)
    waiting = await made(tasks, new_task(id=new_task_id()))
    named = replace(ASSIGNMENT, node=NODE, sender=Address(NODE))
    await tasks.create(new_task(), named)
    assert await tasks.unfinished(SENDER) == ((waiting, ASSIGNMENT),)
    ((_, assignment),) = await tasks.unfinished(NODE)
    assert assignment == named


async def test_unfinished__cancelled_by_its_owner__tells_so(tasks: SqlTaskStore) -> None:
    record = await made(tasks, new_task())
    await tasks.note_unwanted(record.id)
    assert await tasks.unfinished(SENDER) == ((record, replace(ASSIGNMENT, is_unwanted=True)),)
