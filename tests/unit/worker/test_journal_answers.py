"""Answers between the engine and the store: the journal keeps them with their rows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, update

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import StorageFull
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.journal import sql_journal
from dvllm_worker.journal.sql_journal import SqlJournal
from dvllm_worker.journal.tables import COMPONENT, job
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import RESPONSE_CID, row
from tests.support.journals import counted_journal, open_journal

ANSWER = b'{"text": "an answer"}'


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database(tmp_path / "worker.sqlite") as database:
        yield database


async def generated(journal: SqlJournal, number: int = 1, cid: Cid = RESPONSE_CID) -> JobRow:
    held = row(number, Stage.GENERATING)
    await journal.put([held])
    return await moved(journal, held, cid)


async def moved(journal: SqlJournal, held: JobRow, cid: Cid = RESPONSE_CID) -> JobRow:
    return await journal.move(
        held, Stage.GENERATED, response_cid=cid, usage=Usage(3, 4), answer=ANSWER
    )


async def test_answer__durable_with_its_row(database: Database) -> None:
    made = await generated(await open_journal(database))
    again = await open_journal(database)
    assert again.find(made.key) == made
    assert await again.answer(RESPONSE_CID) == ANSWER


async def test_answer__published__dropped(database: Database) -> None:
    journal = await open_journal(database)
    journal.note(await generated(journal), Stage.PUBLISHED)
    await journal.settle()
    assert await journal.answer(RESPONSE_CID) is None


@pytest.mark.parametrize("end", [[Stage.FAILING, Stage.FAILED], [Stage.LOST]])
async def test_answer__job_ends_unpublished__there_when_it_comes_again(
    database: Database, end: list[Stage]
) -> None:
    journal = await open_journal(database)
    left = await generated(journal)
    for stage in end:
        left = await journal.move(left, stage)
    again = await open_journal(database)
    await again.move(left, Stage.LEASED)
    assert await (await open_journal(database)).answer(RESPONSE_CID) == ANSWER


async def test_answers__many_jobs_end_unpublished__the_oldest_are_dropped(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_journal, "ANSWERS_LEFT", 2)
    journal = await open_journal(database)
    cids = [Cid(f"cid-{number}") for number in range(1, 5)]
    for number, cid in enumerate(cids, 1):
        await journal.move(await generated(journal, number, cid), Stage.LOST)
    kept = [cid for cid in cids if await journal.answer(cid) is not None]
    assert kept == cids[-2:]


async def test_answer__left_for_long__dropped_at_the_next_start(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await open_journal(database)
    await journal.move(await generated(journal), Stage.LOST)
    monkeypatch.setattr(sql_journal, "ANSWERS_LEFT_S", 0.0)
    assert await (await open_journal(database)).answer(RESPONSE_CID) is None


async def test_answer__row_is_written_again__stays(database: Database) -> None:
    journal = await open_journal(database)
    made = await generated(journal)
    await journal.put([made])
    assert await journal.answer(RESPONSE_CID) == ANSWER


async def test_answer__disk_full__neither_kept_nor_a_stage(database: Database) -> None:
    counting, journal = await counted_journal(database)
    held = row(1, Stage.GENERATING)
    await journal.put([held])
    counting.fails = True
    with pytest.raises(StorageFull):
        await moved(journal, held)
    counting.fails = False
    await journal.settle()
    assert await journal.answer(RESPONSE_CID) is None
    assert (await open_journal(database)).open_rows()[0].stage is Stage.GENERATING


async def test_answer__disk_full_when_it_is_kept_again__the_copy_before_stays(
    database: Database,
) -> None:
    counting, journal = await counted_journal(database)
    made = await generated(journal)
    counting.fails = True
    with pytest.raises(StorageFull):
        await moved(journal, made)
    counting.fails = False
    await journal.settle()
    assert await journal.answer(RESPONSE_CID) == ANSWER


async def test_answer__published_just_before_a_kill__dropped_at_the_next_start(
    database: Database,
) -> None:
    made = await generated(await open_journal(database))
    published = update(job).values(stage=Stage.PUBLISHED.value)
    await database.transaction(lambda tx: tx.execute(published))
    again = await open_journal(database)
    assert again.latest(made.job_id) is not None
    assert await again.answer(RESPONSE_CID) is None


async def test_database_of_the_first_release__led_up(database: Database) -> None:
    before = MetaData()
    job.to_metadata(before)
    await database.add_tables(COMPONENT, 1, before)
    made = await generated(await open_journal(database))
    again = await open_journal(database)
    assert (again.find(made.key), await again.answer(RESPONSE_CID)) == (made, ANSWER)
