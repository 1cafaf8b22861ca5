"""An overdue job is ended even where the first try came too early, or the chain was away.

An open one is taken so, too; and what an event tells of it meanwhile stands.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    ContractRevert,
    DvllmError,
    UnknownJob,
)
from decentralized_vllm.protocol.ids import JobId, TxHash, VersionNumber, Wei
from decentralized_vllm.protocol.jobs import JobState, JobStatus, Terms
from decentralized_vllm.protocol.transactions import Call
from dvllm_worker.journal.sql_journal import SqlJournal
from dvllm_worker.pipeline.caretaker import REFILL_S, Caretaker, CaretakerOptions
from dvllm_worker.pipeline.identity import NodeIdentity
from dvllm_worker.pipeline.prospects import MarketRules
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import CHAIN_ID, COORDINATOR, ME, OTHER, row, state, terms

OVERDUE_S = 10_000.0


class Market:
    """Chain, calls, sender, purse and clock in one; `refusals` are raised one after the other."""

    def __init__(self) -> None:
        self.refusals: list[DvllmError] = []
        self.sent: list[str] = []
        self.moment_s = OVERDUE_S
        self.state = state(node=OTHER)
        self.balance_wei = Wei(10**18)
        self.meanwhile: list[Callable[[], Awaitable[object]]] = []

    async def job(self, job_id: JobId) -> JobState:
        return self.state

    async def terms(self, version: VersionNumber) -> Terms:
        return terms()

    def expire_job(self, job_id: JobId) -> Call:
        return Call(to=COORDINATOR, data=b"", label=f"expireJob({job_id})")

    def take_job(self, job_id: JobId) -> Call:
        return Call(to=COORDINATOR, data=b"", label=f"takeJob({job_id})")

    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        for happens in self.meanwhile:
            await happens()
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(call.label)
        return TxHash("0x")

    async def balance(self) -> Wei:
        return self.balance_wei

    async def gas_price(self) -> Wei:
        return Wei(1)

    def now_s(self) -> float:
        return self.moment_s

    async def sleep_s(self, duration_s: float) -> None:
        self.moment_s += duration_s
        await asyncio.sleep(0)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqlJournal]:
    async with Database(tmp_path / "worker.sqlite") as database:
        yield await SqlJournal(database, chain_id=CHAIN_ID, coordinator=COORDINATOR).load()


def caretaker_of(journal: SqlJournal, market: Market, *, takes: bool) -> Caretaker:
    return Caretaker(
        market,
        market,  # type: ignore[arg-type] # of the calls it makes two
        market,  # type: ignore[arg-type]
        journal,
        market,
        market,
        identity=NodeIdentity(ME, CHAIN_ID, COORDINATOR),
        rules=MarketRules(grace_s=15, max_attempts=4),
        options=CaretakerOptions(takes=takes, expires=not takes, n_slots=lambda: 1, jitter_s=1.0),
        random=lambda: 0.5,
    )


@asynccontextmanager
async def looked_after(journal: SqlJournal, market: Market, *, takes: bool) -> AsyncIterator[None]:
    caretaker = caretaker_of(journal, market, takes=takes)
    seen = row(stage=Stage.SEEN)
    await journal.put([seen])
    caretaker.watch(seen)
    running = asyncio.create_task(caretaker.run())
    try:
        async with asyncio.timeout(30):
            yield
            assert not running.done()
    finally:
        running.cancel()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a journal tells nobody
        await asyncio.sleep(0)


async def look_after_an_overdue_job(journal: SqlJournal, market: Market) -> None:
    """Until the node has nothing more to do with it."""
    async with looked_after(journal, market, takes=False):
        await until(lambda: not journal.open_rows())


@pytest.mark.parametrize(
    "refusal",
    [ContractRevert("TooEarly", (10_001,)), ChainUnavailable("no answer")],
    ids=["too early", "outage"],
)
async def test_overdue_job__refused_for_now__expired_later(
    journal: SqlJournal, refusal: DvllmError
) -> None:
    market = Market()
    market.refusals = [refusal, refusal]
    await look_after_an_overdue_job(journal, market)
    assert market.sent == ["expireJob(1)"]
    assert market.moment_s >= OVERDUE_S + 2 * 2


async def test_overdue_job__ended_by_another__left_alone(journal: SqlJournal) -> None:
    market = Market()
    market.refusals = [ContractRevert("WrongStatus")]
    await look_after_an_overdue_job(journal, market)
    assert market.sent == []


def open_job() -> Market:
    market = Market()
    market.state = state(node=OTHER, status=JobStatus.OPEN, until_s=2 * int(OVERDUE_S))
    return market


async def test_open_job__key_without_gas__taken_once_it_is_refilled(journal: SqlJournal) -> None:
    market = open_job()
    market.balance_wei = Wei(0)
    async with looked_after(journal, market, takes=True):
        await until(lambda: market.moment_s > OVERDUE_S + 3 * REFILL_S)
        assert market.sent == []
        market.balance_wei = Wei(10**18)
        await until(lambda: bool(market.sent))
    assert market.sent == ["takeJob(1)"]
    assert [now.stage for now in journal.open_rows()] == [Stage.TAKING]


async def test_open_job__chain_is_away__taken_later(journal: SqlJournal) -> None:
    market = open_job()
    market.refusals = [ChainUnavailable("no answer")] * 2
    async with looked_after(journal, market, takes=True):
        await until(lambda: bool(market.sent))
    assert [now.stage for now in journal.open_rows()] == [Stage.TAKING]


@pytest.mark.parametrize(
    "refusal",
    [ContractRevert("WrongStatus"), UnknownJob("no such job"), ChainUnavailable("no answer")],
    ids=["too late", "unknown here", "outage"],
)
async def test_open_job__leased_to_us_while_it_is_taken__stays_ours(
    journal: SqlJournal, refusal: DvllmError
) -> None:
    market = open_job()
    market.refusals = [refusal]
    is_leased = asyncio.Event()

    async def lease() -> None:
        await journal.move(journal.open_rows()[0], Stage.LEASED)
        is_leased.set()

    market.meanwhile = [lease]
    async with looked_after(journal, market, takes=True):
        await is_leased.wait()
        market.meanwhile = []
        await until(lambda: not market.refusals)
        await asyncio.sleep(0.1)  # the caretaker lives on
    assert [now.stage for now in journal.open_rows()] == [Stage.LEASED]
