"""Shares of one work are done together, and none is left waiting."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from dvllm_gateway.errors import InternalError, NetworkUnavailable
from dvllm_gateway.state.gathered import GatheredWrites

T = TypeVar("T")


class Transactions:
    """Notes what each was given; `gate` is what they wait for, `error` what they end with."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, work: Callable[[Any], T], /) -> T:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return work(self)


def tenfold(tx: Any, items: Sequence[int]) -> list[int]:
    tx.given.append(list(items))
    if 1300 in items:
        raise InternalError("not this one")
    return [item * 10 for item in items]


def twofold(tx: Any, items: Sequence[int]) -> list[int]:
    tx.given.append(list(items))
    return [item * 2 for item in items]


@pytest.fixture
async def transactions() -> Transactions:
    return Transactions()


async def test_write__one_work__those_that_came_meanwhile_are_together(
    transactions: Transactions,
) -> None:
    writes = GatheredWrites(transactions)
    first = asyncio.create_task(writes.write(tenfold, 0))
    await asyncio.sleep(0.01)
    others = asyncio.gather(*(writes.write(tenfold, n) for n in range(1, 41)))
    last = asyncio.create_task(writes.write(twofold, 5))
    await asyncio.sleep(0)
    transactions.gate.set()
    assert [await first, *await others, await last] == [*(n * 10 for n in range(41)), 10]
    assert transactions.given == [[0], [*range(1, 33)], [*range(33, 41)], [5]]
    assert await writes.write(twofold, 6) == 12


async def test_write__one_is_refused__the_others_are_done(transactions: Transactions) -> None:
    transactions.gate.set()
    writes = GatheredWrites(transactions)
    told = await asyncio.gather(
        *(writes.write(tenfold, n) for n in (12, 1300, 14)), return_exceptions=True
    )
    assert (told[0], type(told[1]), told[2]) == (120, InternalError, 140)


async def test_write__no_database__all_are_told_and_the_next_is_tried(
    transactions: Transactions,
) -> None:
    transactions.gate.set()
    transactions.error = NetworkUnavailable("no database")
    writes = GatheredWrites(transactions)
    told = await asyncio.gather(
        *(writes.write(tenfold, n) for n in range(3)), return_exceptions=True
    )
    assert [type(each) for each in told] == [NetworkUnavailable] * 3
    transactions.error = None
    assert await writes.write(tenfold, 1) == 10


async def test_write__everything_is_cancelled__nobody_waits_on(transactions: Transactions) -> None:
    writes = GatheredWrites(transactions)
    before = asyncio.all_tasks()
    waiting = [asyncio.create_task(writes.write(tenfold, n)) for n in range(3)]
    await asyncio.sleep(0.01)
    working = asyncio.all_tasks() - before - {*waiting}
    for task in (*working, waiting[0]):
        task.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 10)
    assert [type(each) for each in ended] == [asyncio.CancelledError, *[NetworkUnavailable] * 2]
