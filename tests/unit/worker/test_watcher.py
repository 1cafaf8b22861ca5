"""Events to rows: once each, in any order a feed may give them, and through re-organisations."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import ChainUnavailable, UnknownJob
from decentralized_vllm.protocol.events import (
    ChainEvent,
    Cursor,
    EventBatch,
    InferenceCompleted,
    InferenceRequested,
    VersionAnnounced,
)
from decentralized_vllm.protocol.ids import BlockNumber, Cid, JobId, VersionNumber
from decentralized_vllm.protocol.jobs import JobState, Terms
from dvllm_worker.journal.sql_journal import SqlJournal
from dvllm_worker.pipeline.identity import NodeIdentity
from dvllm_worker.pipeline.rows import JobKey, JobRow
from dvllm_worker.pipeline.stages import Stage
from dvllm_worker.pipeline.watcher import Watcher
from tests.support.jobs import (
    CHAIN_ID,
    COORDINATOR,
    ME,
    MODEL_CID,
    OTHER,
    RESPONSE_CID,
    key,
    leased,
    opened,
    position,
    requested,
    terms,
)

IDENTITY = NodeIdentity(ME, CHAIN_ID, COORDINATOR)
J1 = JobId(1)


class Script:
    """A feed that gives what the test says; crew and caretaker note what they are told."""

    def __init__(self) -> None:
        self.given: list[EventBatch] = []
        self.advanced: list[int] = []
        self.started: list[JobRow] = []
        self.stopped: list[JobKey] = []
        self.watched: list[JobRow] = []
        self.n_sweeps = 0
        self.n_outages = 0
        self.announced: list[VersionAnnounced] = []

    # the feed
    async def batches(self) -> AsyncIterator[EventBatch]:
        for batch in self.given:
            yield batch

    async def advance(self, cursor: Cursor) -> None:
        self.advanced.append(cursor.number)

    # crew, caretaker and sweep
    def start(self, row: JobRow) -> None:
        self.started.append(row)

    def stop(self, key: JobKey) -> None:
        self.stopped.append(key)

    def watch(self, row: JobRow) -> None:
        self.watched.append(row)

    def drop(self, key: JobKey) -> None: ...

    async def once(self, *, include_running: bool = False) -> None:
        self.n_sweeps += 1

    # the chain
    async def request(self, job_id: JobId) -> InferenceRequested:
        if self.n_outages:
            self.n_outages -= 1
            raise ChainUnavailable("down")
        return requested(job_id)

    async def job(self, job_id: JobId) -> JobState:
        raise UnknownJob("not asked here")

    async def terms(self, version: VersionNumber) -> Terms:
        return terms()

    async def chain_time_s(self) -> int:
        return 0

    # the clock
    def now_s(self) -> float:
        return 0.0

    async def sleep_s(self, duration_s: float) -> None: ...


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqlJournal]:
    async with Database(tmp_path / "worker.sqlite") as database:
        yield await SqlJournal(database, chain_id=CHAIN_ID, coordinator=COORDINATOR).load()


async def play(journal: SqlJournal, *batches: EventBatch, script: Script | None = None) -> Script:
    script = script or Script()
    script.given = list(batches)
    watcher = Watcher(
        script,
        script,
        journal,
        script,  # type: ignore[arg-type]
        script,  # type: ignore[arg-type]
        script,  # type: ignore[arg-type]
        clock=script,
        identity=IDENTITY,
        served=lambda: {MODEL_CID},
        on_announced=script.announced.append,
    )
    await watcher.run()
    return script


def batch(*events: ChainEvent, block: int = 10, rewound_to: int | None = None) -> EventBatch:
    rewound = None if rewound_to is None else BlockNumber(rewound_to)
    return EventBatch(events, Cursor(BlockNumber(block), "0x"), rewound)


OURS = (requested(), leased())


async def test_own_lease__row_and_run__then_the_cursor_moves(journal: SqlJournal) -> None:
    script = await play(journal, batch(*OURS))
    assert [row.key for row in script.started] == [key(1)]
    assert journal.open_rows()[0].stage is Stage.LEASED
    assert script.advanced == [10]


async def test_same_events_again__change_nothing(journal: SqlJournal) -> None:
    script = await play(journal, batch(*OURS))
    fetched = await journal.move(journal.open_rows()[0], Stage.FETCHED)
    await play(journal, batch(*OURS), batch(leased()), script=script)
    assert journal.open_rows() == (fetched,)
    assert len(script.started) == 1


async def test_older_event_after_a_newer_one__changes_nothing(journal: SqlJournal) -> None:
    ours = leased(node=ME, block=20, until_s=300)
    script = await play(journal, batch(requested(), leased(node=OTHER)), batch(ours, block=20))
    await play(journal, batch(leased(node=OTHER)), script=script)
    assert journal.open_rows()[0].stage is Stage.LEASED
    assert script.stopped == []


async def test_lease_of_another__watched_until_it_is_answered(journal: SqlJournal) -> None:
    script = await play(journal, batch(requested(), leased(node=OTHER)))
    assert [row.stage for row in script.watched] == [Stage.SEEN]
    done = InferenceCompleted(position(11), J1, OTHER, RESPONSE_CID)
    await play(journal, batch(done, block=11), script=script)
    assert journal.open_rows() == ()
    assert journal.closed_rows() == ()


async def test_job_of_a_model_not_served__ignored(journal: SqlJournal) -> None:
    foreign = requested(model_cid=Cid("another"))
    await play(journal, batch(foreign, opened()))
    assert journal.open_rows() == ()


async def test_own_lease_of_an_unknown_request__request_is_asked_for(journal: SqlJournal) -> None:
    script = Script()
    script.n_outages = 2
    await play(journal, batch(leased()), script=script)
    assert script.started[0].request == requested()
    assert script.advanced == [10]


async def test_lease_passes_to_another__run_is_stopped(journal: SqlJournal) -> None:
    script = await play(
        journal, batch(*OURS), batch(leased(node=OTHER, block=30, until_s=400), block=30)
    )
    assert script.stopped == [key(1)]
    lost = journal.latest(J1)
    assert lost is not None and lost.stage is Stage.LOST


async def test_rewind__everything_is_asked_and_told_again(journal: SqlJournal) -> None:
    script = await play(journal, batch(requested(), leased(node=OTHER)))
    moved = leased(node=ME, block=9, until_s=250)
    await play(journal, batch(block=8, rewound_to=8), batch(moved, block=9), script=script)
    assert script.n_sweeps == 1
    assert [row.until_s for row in script.started] == [250]


async def test_announced_version__told(journal: SqlJournal) -> None:
    event = VersionAnnounced(
        position(), VersionNumber(2), requested().model_id, Cid("next"), serves_from_s=5
    )
    assert (await play(journal, batch(event))).announced == [event]
