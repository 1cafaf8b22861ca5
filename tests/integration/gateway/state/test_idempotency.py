"""Keys of requests: one claim, one reply, for a day."""

import asyncio

import pytest

from dvllm_gateway.errors import Conflict
from dvllm_gateway.services.idempotency import KEPT_MS, StoredIdempotency
from dvllm_gateway.services.ports import StoredReply
from dvllm_gateway.state import Database, SqlIdempotencyStore
from tests.support.gateway_tasks import ALICE, BOB

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


async def test_key__first_time__is_free_for_each_account(kept: StoredIdempotency) -> None:
    assert await kept.begin(ALICE, "k", b"a") is None
    assert await kept.begin(BOB, "k", b"b") is None
    assert await kept.begin(ALICE, "other", b"a") is None


async def test_key__while_the_first_runs__conflicts(kept: StoredIdempotency) -> None:
    results = await asyncio.gather(
        *(kept.begin(ALICE, "k", b"a") for _ in range(20)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 19


async def test_key__after_the_reply__gives_it_again(kept: StoredIdempotency) -> None:
    await kept.begin(ALICE, "k", b"a")
    await kept.finish(ALICE, "k", REPLY)
    assert await kept.begin(ALICE, "k", b"a") == REPLY
    assert await kept.begin(ALICE, "k", b"a") == REPLY


@pytest.mark.parametrize("is_over", [True, False])
async def test_key__other_body__conflicts(kept: StoredIdempotency, is_over: bool) -> None:
    await kept.begin(ALICE, "k", b"a")
    if is_over:
        await kept.finish(ALICE, "k", REPLY)
    with pytest.raises(Conflict, match="another request"):
        await kept.begin(ALICE, "k", b"b")


async def test_key__abandoned__may_be_used_again(kept: StoredIdempotency) -> None:
    await kept.begin(ALICE, "k", b"a")
    await kept.abandon(ALICE, "k")
    assert await kept.begin(ALICE, "k", b"b") is None


async def test_key__abandoned_after_its_reply__keeps_it(kept: StoredIdempotency) -> None:
    await kept.begin(ALICE, "k", b"a")
    await kept.finish(ALICE, "k", REPLY)
    await kept.abandon(ALICE, "k")
    assert await kept.begin(ALICE, "k", b"a") == REPLY


async def test_key__a_day_later__is_free(kept: StoredIdempotency, clock: Clock) -> None:
    await kept.begin(ALICE, "k", b"a")
    clock.now_ms += KEPT_MS
    with pytest.raises(Conflict):
        await kept.begin(ALICE, "k", b"a")
    clock.now_ms += 1
    assert await kept.begin(ALICE, "k", b"b") is None
