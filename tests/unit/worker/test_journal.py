"""The journal on a real SQLite file."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import SettingError, StorageFull
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_worker.journal.crash_points import CrashingJournal
from dvllm_worker.journal.group_commit import GroupCommit
from dvllm_worker.journal.sql_journal import SqlJournal
from dvllm_worker.journal.tables import job
from dvllm_worker.journal.told import ToldJournal
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import IllegalTransition, Stage
from tests.support.jobs import COORDINATOR, RESPONSE_CID, row
from tests.support.journals import CountingDatabase, counted_journal, open_journal
from tests.support.waiting import wait_until


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "worker.sqlite") as database:
        yield database


async def test_put_and_load_again__same_rows(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1), row(2, Stage.SEEN)])
    await journal.move(
        row(1), Stage.FAILING, failure=FailureCode.CONTENT_MISSING, reason="nobody had it"
    )
    again = await open_journal(database)
    assert {each.job_id: each.stage for each in again.open_rows()} == {
        1: Stage.FAILING,
        2: Stage.SEEN,
    }
    failing = again.latest(row(1).job_id)
    assert failing is not None
    assert (failing.failure, failing.reason) == (FailureCode.CONTENT_MISSING, "nobody had it")
    assert failing.request == row(1).request


async def test_move__facts_stay_until_changed(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1, Stage.GENERATING)])
    made = await journal.move(
        row(1, Stage.GENERATING), Stage.GENERATED, response_cid=RESPONSE_CID, usage=Usage(3, 4)
    )
    published = await journal.move(made, Stage.PUBLISHED)
    assert (published.response_cid, published.usage) == (RESPONSE_CID, Usage(3, 4))
    again = await open_journal(database)
    assert again.find(published.key) == published


async def test_move__out_of_order__refused_and_nothing_written(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1)])
    with pytest.raises(IllegalTransition):
        await journal.move(row(1), Stage.SUBMITTED)
    assert (await open_journal(database)).open_rows()[0].stage is Stage.LEASED


async def test_move__from_a_stale_row__refused(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1)])
    await journal.move(row(1), Stage.LOST)
    with pytest.raises(IllegalTransition, match="by now"):
        await journal.move(row(1), Stage.FETCHED)


async def test_closed_rows__found_but_not_open(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1)])
    await journal.move(row(1), Stage.LOST, reason="taken by another")
    assert journal.open_rows() == ()
    closed = journal.latest(row(1).job_id)
    assert closed is not None and closed.reason == "taken by another"


async def test_forget__gone_from_memory_and_file(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1, Stage.SEEN)])
    await journal.forget([row(1).key])
    assert journal.find(row(1).key) is None
    assert not journal._latest  # every job of the model is seen, by every node
    assert (await open_journal(database)).open_rows() == ()


async def test_other_deployment__its_rows_are_not_loaded(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1)])
    other = await SqlJournal(database, chain_id=1, coordinator=COORDINATOR).load()
    assert other.open_rows() == ()


# ---------------------------------------------------------------- group commit


def counted_commits(database: CountingDatabase, applied: dict[int, int]) -> GroupCommit[int, int]:
    return GroupCommit(database, lambda _, values: applied.update(values))


async def test_group_commit__many_at_once__few_commits_and_all_written(
    database: Database,
) -> None:
    await open_journal(database)
    counting = CountingDatabase(database)
    applied: dict[int, int] = {}
    commits = counted_commits(counting, applied)

    async def write(n: int) -> None:
        commits.owe({n: -n})
        commits.owe({n: n})
        await commits.settle()

    await asyncio.gather(*(write(n) for n in range(50)))
    assert applied == {n: n for n in range(50)}
    assert counting.n_commits <= 2


async def test_group_commit__disk_full__told_to_all_and_owed_still(database: Database) -> None:
    counting = CountingDatabase(database)
    applied: dict[int, int] = {}
    commits = counted_commits(counting, applied)
    counting.fails = True
    commits.owe({1: 1, 2: 2})
    results = await asyncio.gather(*(commits.settle() for _ in range(3)), return_exceptions=True)
    assert all(isinstance(result, StorageFull) for result in results)
    counting.fails = False
    commits.owe({2: 3})
    await commits.settle()
    assert applied == {1: 1, 2: 3}


async def test_group_commit__nobody_waits__written_before_long(database: Database) -> None:
    counting = CountingDatabase(database)
    applied: dict[int, int] = {}
    commits = counted_commits(counting, applied)
    for n in range(5):
        commits.owe({1: n})
    await wait_until(lambda: bool(applied), what="the group is written")
    assert (applied, counting.n_commits) == ({1: 4}, 1)


async def test_note__known_at_once_and_durable_with_the_next_step(database: Database) -> None:
    journal = await open_journal(database)
    await journal.put([row(1)])
    noted = journal.note(row(1), Stage.FETCHED)
    assert journal.open_rows() == (noted,)
    await journal.settle()
    assert (await open_journal(database)).open_rows() == (noted,)


async def test_disk_full__a_move_keeps_its_place_and_a_note_is_written_later(
    database: Database,
) -> None:
    counting, journal = await counted_journal(database)
    await journal.put([row(1)])
    counting.fails = True
    fetched = journal.note(row(1), Stage.FETCHED)
    with pytest.raises(StorageFull):
        await journal.move(fetched, Stage.LOST)
    assert journal.open_rows() == (fetched,)
    counting.fails = False
    await journal.put([row(2)])
    again = await open_journal(database)
    assert {each.job_id: each.stage for each in again.open_rows()} == {
        1: Stage.FETCHED,
        2: Stage.LEASED,
    }


async def test_put__caller_is_cancelled__written_and_remembered_all_the_same(
    database: Database,
) -> None:
    journal = await open_journal(database)
    task = asyncio.create_task(journal.put([row(1)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.put([row(2)])
    count = await database.transaction(lambda tx: len(tx.execute(select(job)).all()))
    assert count == len(journal.open_rows()) == 2


# ---------------------------------------------------------------- decorators


@pytest.mark.parametrize("text", ["leased", "before:nothing", "while:leased", ""])
def test_crash_point__not_understood__named(text: str) -> None:
    with pytest.raises(SettingError, match="FAULT_AT"):
        CrashingJournal(None, text)  # type: ignore[arg-type]


class Listener:
    def __init__(self) -> None:
        self.told: list[Stage] = []

    def on_stage(self, row: JobRow) -> None:
        self.told.append(row.stage)

    def on_trouble(self, row: JobRow, error: Exception) -> None: ...

    def on_text(self, job_id: int, text: str, n_tokens: int) -> None: ...

    def on_answer(self, job_id: int, cid: str, document: bytes) -> None: ...


async def test_told_journal__each_new_stage_once_and_nothing_of_others(database: Database) -> None:
    listener = Listener()
    journal = ToldJournal(await open_journal(database), listener)
    await journal.put([row(1), row(2, Stage.SEEN)])
    await journal.put([row(1)])
    fetched = journal.note(row(1), Stage.FETCHED)
    journal.enter([fetched])
    await journal.move(fetched, Stage.FAILING)
    assert listener.told == [Stage.LEASED, Stage.FETCHED, Stage.FAILING]
