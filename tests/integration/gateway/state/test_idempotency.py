"""Keys of requests: one holder at a time, one reply, for a day."""

import asyncio
from collections.abc import Callable

import pytest

from dvllm_gateway.errors import Conflict
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.idempotency import HELD_MS, KEPT_MS, StoredIdempotency
from dvllm_gateway.services.ports import Attempt, StoredReply
from dvllm_gateway.state import Database, SqlIdempotencyStore, open_database
from tests.support.gateway_tasks import ALICE, BOB
from tests.support.postgresql import Cluster

REPLY = StoredReply(201, b"\x00{}", {"x-job": "7"})


class Clock:
    now_ms = 1_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(database: Database, clock: Clock) -> StoredIdempotency:
    return StoredIdempotency(SqlIdempotencyStore(database), clock_ms=clock)


@pytest.fixture
def other(database: Database, clock: Clock) -> StoredIdempotency:
    """Another process."""
    return StoredIdempotency(SqlIdempotencyStore(database), clock_ms=clock)


async def asked(
    kept: StoredIdempotency,
    account: AccountId = ALICE,
    key: str = "k",
    digest: bytes = b"a",
    *,
    joins: bool = False,
) -> Attempt:
    begun = await kept.begin(account, key, digest, joins=joins)
    assert isinstance(begun, Attempt)
    return begun


async def replayed(kept: StoredIdempotency) -> StoredReply:
    reply = await kept.begin(ALICE, "k", b"a", joins=False)
    assert isinstance(reply, StoredReply)
    return reply


async def test_key__first_time__is_free_for_each_account(kept: StoredIdempotency) -> None:
    attempts = [
        await asked(kept),
        await asked(kept, BOB, digest=b"b"),
        await asked(kept, key="other"),
    ]
    assert all(attempt.is_new and attempt.is_mine for attempt in attempts)
    assert len({attempt.first_task for attempt in attempts}) == 3


async def test_key__while_the_first_runs__conflicts(kept: StoredIdempotency) -> None:
    results = await asyncio.gather(
        *(kept.begin(ALICE, "k", b"a", joins=False) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, Attempt) for result in results) == 1
    refusals = [result for result in results if isinstance(result, Conflict)]
    assert len(refusals) == 19
    assert all(refusal.retry_after_s for refusal in refusals)


async def test_key__while_the_first_runs__is_joined(
    kept: StoredIdempotency, other: StoredIdempotency
) -> None:
    first = await asked(kept)
    joined = await asked(other, joins=True)
    assert joined == Attempt(first.first_task, is_new=False, is_mine=False)


async def test_key__after_the_reply__gives_it_again(kept: StoredIdempotency) -> None:
    await asked(kept)
    await kept.finish(ALICE, "k", REPLY)
    assert await replayed(kept) == REPLY
    assert await replayed(kept) == REPLY


@pytest.mark.parametrize("is_over", [True, False])
async def test_key__other_body__conflicts(kept: StoredIdempotency, is_over: bool) -> None:
    await asked(kept)
    if is_over:
        await kept.finish(ALICE, "k", REPLY)
    with pytest.raises(Conflict, match="another request"):
        await kept.begin(ALICE, "k", b"b", joins=True)


async def test_key__abandoned__may_be_used_again(kept: StoredIdempotency) -> None:
    first = await asked(kept)
    await kept.abandon(ALICE, "k")
    again = await asked(kept, digest=b"b")
    assert again.is_new
    assert again.first_task != first.first_task


async def test_key__abandoned_after_its_reply__keeps_it(kept: StoredIdempotency) -> None:
    await asked(kept)
    await kept.finish(ALICE, "k", REPLY)
    await kept.abandon(ALICE, "k")
    assert await replayed(kept) == REPLY


async def test_key__let_go__is_taken_over_with_its_tasks(
    kept: StoredIdempotency, other: StoredIdempotency
) -> None:
    first = await asked(kept)
    await kept.let_go(ALICE, "k")
    assert await asked(other) == Attempt(first.first_task, is_new=False, is_mine=True)
    with pytest.raises(Conflict, match="no reply yet"):
        await kept.begin(ALICE, "k", b"a", joins=False)


async def test_key__whose_process_is_gone__is_taken_over_by_one(
    kept: StoredIdempotency, other: StoredIdempotency, clock: Clock
) -> None:
    first = await asked(kept)
    clock.now_ms += HELD_MS
    with pytest.raises(Conflict, match="no reply yet"):
        await other.begin(ALICE, "k", b"a", joins=False)
    clock.now_ms += 1
    results = await asyncio.gather(
        *(other.begin(ALICE, "k", b"a", joins=False) for _ in range(20)), return_exceptions=True
    )
    taken = [result for result in results if isinstance(result, Attempt)]
    assert taken == [Attempt(first.first_task, is_new=False, is_mine=True)]


async def test_key__whose_process_lives__stays_held(database: Database) -> None:
    store = SqlIdempotencyStore(database)
    held, asking = StoredIdempotency(store, held_ms=1_000), StoredIdempotency(store)
    holding = asyncio.create_task(held.run())
    try:
        await asked(held)
        for _ in range(3):
            await asyncio.sleep(0.7)
            with pytest.raises(Conflict, match="no reply yet"):
                await asking.begin(ALICE, "k", b"a", joins=False)
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def test_key__a_day_later__is_free(kept: StoredIdempotency, clock: Clock) -> None:
    await asked(kept)
    await kept.finish(ALICE, "k", REPLY)
    clock.now_ms += KEPT_MS
    assert await replayed(kept) == REPLY
    clock.now_ms += 1
    assert (await asked(kept, digest=b"b")).is_new


async def test_key__released_by_another_in_that_very_moment__is_taken(
    cluster: Cluster, clock: Clock, elsewhere: Callable[[str, str, str], None]
) -> None:
    url = cluster.new_database()
    async with open_database(url) as database:
        first, second = (
            StoredIdempotency(SqlIdempotencyStore(database), clock_ms=clock) for _ in range(2)
        )
        begun = await asked(first)
        elsewhere(url, "INSERT INTO idempotency", "DELETE FROM idempotency")
        again = await asked(second)
    assert again.is_mine and again.is_new
    assert again.first_task != begun.first_task


async def test_key__whose_process_is_gone_before_the_clock_went_back__is_taken_over(
    kept: StoredIdempotency, other: StoredIdempotency, clock: Clock
) -> None:
    clock.now_ms += 3_600_000
    first = await asked(kept)
    clock.now_ms -= 3_600_000
    assert await asked(other) == Attempt(first.first_task, is_new=False, is_mine=True)
