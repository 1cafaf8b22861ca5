"""The feed against endpoints that lag, refuse, leave out, repeat and lie."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from decentralized_vllm.chain.feed import FeedSettings, LogFeed
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.log_source import coordinator_logs
from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.events import EventBatch, JobOpened
from tests.support.scripted_chain import COORDINATOR, ScriptedChain

QUICK = FeedSettings(poll_s=0.001, rescan_every_s=3600, rollback_patience_s=0.02)


class TwoEndpoints:
    """The first is asked until the feed finds that it lags."""

    def __init__(self, first: ScriptedChain, second: ScriptedChain) -> None:
        self._first, self._second = first, second

    def healthiest(self) -> ScriptedChain:
        return self._second if self._first.lags_noted else self._first


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    async with Database(path) as database:
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        yield database


@asynccontextmanager
async def feed_of(
    chain: ScriptedChain | TwoEndpoints,
    path: Path,
    settings: FeedSettings = QUICK,
    hints: HeadHints | None = None,
) -> AsyncIterator[LogFeed]:
    async with opened(path) as database:
        yield feed_on(chain, database, settings, hints)


def feed_on(
    chain: ScriptedChain | TwoEndpoints,
    database: Database,
    settings: FeedSettings,
    hints: HeadHints | None = None,
) -> LogFeed:
    return LogFeed(
        rpc=chain,
        hints=hints or HeadHints(),
        database=database,
        chain="1:0x0",
        source=coordinator_logs(COORDINATOR),
        name="test",
        start_block=1,
        settings=settings,
    )


async def next_with(feed: LogFeed, *, rewind: bool = False) -> EventBatch:
    """The next batch with events, or the next rewind; all batches before it are applied."""
    async with asyncio.timeout(10):
        async for batch in feed.batches():
            await feed.advance(batch.cursor)
            if batch.rewound_to is not None if rewind else batch.events:
                return batch
    raise AssertionError("a feed never ends")


def jobs_of(batch: EventBatch) -> list[int]:
    return [event.job_id for event in batch.events if isinstance(event, JobOpened)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.sqlite"


async def test_feed__logs_answered_out_of_order__told_in_chain_order(path: Path) -> None:
    chain = ScriptedChain(head=9, jobs={1: 3, 2: 3, 3: 5, 4: 8})
    async with feed_of(chain, path) as feed:
        assert jobs_of(await next_with(feed)) == [1, 2, 3, 4]


async def test_feed__same_log_twice_in_an_answer__told_once(path: Path) -> None:
    chain = ScriptedChain(head=9, jobs={1: 3})
    chain.doctored = [chain.log_of(1)]
    async with feed_of(chain, path) as feed:
        assert jobs_of(await next_with(feed)) == [1]


async def test_feed__removed_log__not_told(path: Path) -> None:
    chain = ScriptedChain(head=9, jobs={1: 3, 2: 4}, hidden={1})
    chain.doctored = [chain.log_of(1) | {"removed": True}]
    async with feed_of(chain, path) as feed:
        assert jobs_of(await next_with(feed)) == [2]


async def test_feed__log_called_removed_that_is_there_after_all__told(path: Path) -> None:
    chain = ScriptedChain(head=9, jobs={1: 8, 2: 9, 3: 10}, hidden={1})
    chain.doctored = [chain.log_of(1) | {"removed": True}]
    async with feed_of(chain, path) as feed:
        assert jobs_of(await next_with(feed)) == [2]
        chain.doctored, chain.hidden, chain.head = [], set(), 10
        assert jobs_of(await next_with(feed)) == [1, 3]


@pytest.mark.parametrize(
    "lie",
    [
        {"blockNumber": "0x63"},
        {"address": "0x00000000000000000000000000000000000000C1"},
        {"blockNumber": "0x9", "blockHash": "0x" + "77" * 32},
    ],
)
async def test_feed__log_that_does_not_belong_to_the_answer__asked_again(
    path: Path, lie: dict[str, str]
) -> None:
    chain = ScriptedChain(head=9, jobs={1: 3})
    chain.doctored = [chain.log_of(1) | {"logIndex": "0x9"} | lie]
    async with feed_of(chain, path) as feed:
        told = asyncio.create_task(next_with(feed))
        await asyncio.sleep(0.05)
        assert not told.done()
        chain.doctored = []
        assert jobs_of(await told) == [1]


async def test_feed__range_refused__smaller_ranges_until_all_is_told(path: Path) -> None:
    chain = ScriptedChain(head=400, jobs={1: 3, 2: 200, 3: 399}, widest=20)
    told: list[int] = []
    async with feed_of(chain, path) as feed:
        while len(told) < 3:
            told += jobs_of(await next_with(feed))
    assert told == [1, 2, 3]
    assert chain.asked[0] == (1, 400)


async def test_feed__log_left_out_once__found_in_the_overlap(path: Path) -> None:
    chain = ScriptedChain(head=5, jobs={1: 5, 2: 6}, hidden={1})
    async with feed_of(chain, path) as feed:
        batches = feed.batches()
        batch = await anext(batches)
        await feed.advance(batch.cursor)
        assert (batch.cursor.number, batch.events) == (5, ())
        chain.hidden, chain.head = set(), 6
        assert jobs_of(await anext(batches)) == [1, 2]


async def test_feed__log_left_out_for_long__found_by_the_second_reading(path: Path) -> None:
    settings = FeedSettings(poll_s=0.001, overlap_blocks=0, rescan_every_s=0.02)
    chain = ScriptedChain(head=5, jobs={1: 5}, hidden={1})
    async with feed_of(chain, path, settings) as feed:
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        chain.hidden, chain.head = set(), 30
        batch = await anext(batches)
        await feed.advance(batch.cursor)
        assert (batch.cursor.number, batch.events) == (30, ())
        late = await anext(batches)
        assert jobs_of(late) == [1]
        await feed.advance(late.cursor)
    async with feed_of(chain, path, settings) as feed:
        chain.head, chain.jobs[2] = 31, 31
        assert jobs_of(await next_with(feed)) == [2]


async def test_feed__second_reading__goes_piece_by_piece_between_what_is_new(path: Path) -> None:
    settings = FeedSettings(
        poll_s=0.001, overlap_blocks=0, rescan_every_s=0.02, rescan_span_blocks=10
    )
    chain = ScriptedChain(head=60, jobs={1: 9, 2: 61}, hidden={1})
    async with feed_of(chain, path, settings) as feed:
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        chain.hidden, chain.asked, chain.head = set(), [], 61
        told = [await anext(batches) for _ in range(2)]
    assert [jobs_of(batch) for batch in told] == [[2], [1]]
    second_reading = chain.asked[1:]
    assert second_reading[0] == (1, 10)
    assert all(last - first < 10 for first, last in second_reading)


async def test_feed__endpoint_lags_behind_the_cursor__waits_without_a_rewind(path: Path) -> None:
    settings = FeedSettings(poll_s=0.001, rollback_patience_s=60)
    chain = ScriptedChain(head=30, jobs={1: 29, 2: 31})
    async with feed_of(chain, path, settings) as feed:
        assert jobs_of(await next_with(feed)) == [1]
        chain.lag = 20
        told = asyncio.create_task(next_with(feed))
        await asyncio.sleep(0.05)
        assert not told.done()
        chain.lag, chain.head = 0, 31
        assert jobs_of(await told) == [2]


async def test_feed__one_endpoint_far_behind__the_other_is_asked_and_nothing_rewound(
    path: Path,
) -> None:
    first, second = ScriptedChain(head=30), ScriptedChain(head=30, jobs={1: 31})
    async with feed_of(TwoEndpoints(first, second), path) as feed:
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        first.lag = 20
        following = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(3 * QUICK.rollback_patience_s)
        second.head = 31
        batch = await asyncio.wait_for(following, 10)
        assert (batch.rewound_to, jobs_of(batch)) == (None, [1])


async def test_feed__endpoint_forgot_old_blocks__the_other_is_asked(path: Path) -> None:
    full = ScriptedChain(head=30, jobs={1: 20})
    async with feed_of(TwoEndpoints(ScriptedChain(head=30, oldest=25), full), path) as feed:
        assert jobs_of(await next_with(feed)) == [1]


async def test_feed__endpoint_forgot_the_block_of_the_cursor__the_other_is_asked(
    path: Path,
) -> None:
    first, second = ScriptedChain(head=30), ScriptedChain(head=60, jobs={1: 31})
    async with feed_of(TwoEndpoints(first, second), path) as feed:
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        first.head, first.oldest = 60, 50
        assert jobs_of(await asyncio.wait_for(anext(batches), 10)) == [1]


async def test_feed__another_chain_behind_the_name__nothing_is_rewound(path: Path) -> None:
    chain = ScriptedChain(head=5, jobs={1: 6})
    async with feed_of(chain, path) as feed:
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        chain.head, chain.forks, chain.is_another = 6, {0: "b"}, True
        following = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.05)
        assert not following.done()
        chain.forks, chain.is_another = {}, False
        batch = await asyncio.wait_for(following, 10)
        assert (batch.rewound_to, jobs_of(batch)) == (None, [1])


async def test_feed__fork__rewinds_to_the_newest_block_both_chains_share(path: Path) -> None:
    chain = ScriptedChain(head=5)
    async with feed_of(chain, path) as feed:
        batches = feed.batches()
        for head in (5, 6, 7, 8):
            chain.head = head
            await feed.advance((await anext(batches)).cursor)
        chain.forks, chain.jobs = {7: "b"}, {1: 7}
        batch = await anext(batches)
        assert (batch.rewound_to, batch.cursor.number) == (6, 6)
        await feed.advance(batch.cursor)
        assert jobs_of(await anext(batches)) == [1]


async def test_feed__fork_below_all_history__rewinds_to_the_start(path: Path) -> None:
    chain = ScriptedChain(head=5)
    async with feed_of(chain, path) as feed:
        batches = feed.batches()
        await feed.advance((await anext(batches)).cursor)
        chain.forks = {0: "b"}
        batch = await anext(batches)
        assert batch.rewound_to == 0


async def test_feed__job_reorganised_into_another_block__told_again(path: Path) -> None:
    chain = ScriptedChain(head=5, jobs={1: 5})
    async with feed_of(chain, path) as feed:
        assert jobs_of(await next_with(feed)) == [1]
        chain.forks, chain.head = {5: "b"}, 6
        await next_with(feed, rewind=True)
        assert jobs_of(await next_with(feed)) == [1]


async def test_feed__effects_and_cursor_in_one_transaction__both_or_none(path: Path) -> None:
    chain = ScriptedChain(head=5, jobs={1: 5})
    async with opened(path) as database:
        feed = feed_on(chain, database, QUICK)
        batch = await anext(feed.batches())
        advance = feed.advancing(batch.cursor)

        def effects(tx: Connection) -> None:
            advance(tx)
            raise RuntimeError("the effects failed")

        with pytest.raises(RuntimeError, match="effects"):
            await database.transaction(effects)
    async with feed_of(chain, path) as feed:
        assert jobs_of(await next_with(feed)) == [1]
