"""An overdue job is ended even where the first try came too early, or the chain was away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import ChainUnavailable, ContractRevert, DvllmError
from decentralized_vllm.protocol.ids import JobId, TxHash, VersionNumber, Wei
from decentralized_vllm.protocol.jobs import JobState, Terms
from decentralized_vllm.protocol.transactions import Call
from dvllm_worker.journal.sql_journal import SqlJournal
from dvllm_worker.pipeline.caretaker import Caretaker, CaretakerOptions
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

    async def job(self, job_id: JobId) -> JobState:
        return state(job_id, node=OTHER)

    async def terms(self, version: VersionNumber) -> Terms:
        return terms()

    def expire_job(self, job_id: JobId) -> Call:
        return Call(to=COORDINATOR, data=b"", label=f"expireJob({job_id})")

    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append(call.label)
        return TxHash("0x")

    async def balance(self) -> Wei:
        return Wei(10**18)

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


async def look_after_an_overdue_job(journal: SqlJournal, market: Market) -> None:
    """Until the node has nothing more to do with it."""
    caretaker = Caretaker(
        market,
        market,  # type: ignore[arg-type] # of the calls it makes one
        market,  # type: ignore[arg-type]
        journal,
        market,
        market,
        identity=NodeIdentity(ME, CHAIN_ID, COORDINATOR),
        rules=MarketRules(grace_s=15, max_attempts=4),
        options=CaretakerOptions(takes=False, expires=True, n_slots=lambda: 1, jitter_s=1.0),
        random=lambda: 0.5,
    )
    overdue = row(stage=Stage.SEEN)
    await journal.put([overdue])
    caretaker.watch(overdue)
    running = asyncio.create_task(caretaker.run())
    async with asyncio.timeout(30):
        while journal.open_rows():  # noqa: ASYNC110 - a journal tells nobody
            await asyncio.sleep(0)
    running.cancel()


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
