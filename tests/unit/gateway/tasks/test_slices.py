"""Short computations in slices: in order, each told its own outcome, and others served between."""

import asyncio
import time

import pytest

from dvllm_gateway.services.slices import Slices

LONG_S = 0.005


async def test_slices__many_at_once__done_in_order_and_each_gets_its_own() -> None:
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return 2 * number

    slices = Slices()
    answers = await asyncio.gather(*(slices.run(lambda n=n: work(n)) for n in range(100)))
    assert (done, answers) == (list(range(100)), [2 * n for n in range(100)])


async def test_slices__one_fails__its_caller_alone_is_told() -> None:
    slices = Slices()
    answers = await asyncio.gather(
        *(slices.run(lambda n=n: 1 // n) for n in (1, 0, 1)), return_exceptions=True
    )
    assert (answers[0], answers[2]) == (1, 1)
    assert isinstance(answers[1], ZeroDivisionError)


async def test_slices__more_than_a_slice__others_are_served_between() -> None:
    slices, served = Slices(), []
    running = [asyncio.create_task(slices.run(lambda: time.sleep(LONG_S))) for _ in range(3)]
    while not all(task.done() for task in running):
        served.append(sum(task.done() for task in running))
        await asyncio.sleep(0)
    assert {0, 1, 2} <= set(served)


async def test_slices__cancelled_before_its_turn__is_not_begun() -> None:
    done: list[str] = []
    slices = Slices()
    first = asyncio.create_task(slices.run(lambda: done.append("first")))
    second = asyncio.create_task(slices.run(lambda: done.append("second")))
    third = asyncio.create_task(slices.run(lambda: done.append("third")))
    await asyncio.sleep(0)  # all of them wait now
    second.cancel()
    await asyncio.gather(first, third)
    with pytest.raises(asyncio.CancelledError):
        await second
    assert done == ["first", "third"]


async def test_slices__after_a_pause__begins_anew() -> None:
    slices = Slices()
    assert await slices.run(lambda: 1) == 1
    await asyncio.sleep(0.01)
    assert await slices.run(lambda: 2) == 2
