"""Calls that come together, made as one."""

import asyncio
from collections.abc import Sequence

import pytest

from decentralized_vllm.grouping import GROUP_SIZE, Grouped


class Doubling:
    """Notes its groups; a negative number is refused, zero fails the whole group."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(numbers))
        await self.may_end.wait()
        if 0 in numbers:
            raise ZeroDivisionError("zero")
        return [2 * n if n > 0 else ValueError(n) for n in numbers]


async def test_grouped__while_one_run_is_under_way__the_rest_share_the_next() -> None:
    run = Doubling()
    grouped = Grouped(run)
    run.may_end.clear()
    first = asyncio.create_task(grouped(1))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(grouped(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0.01)
    run.may_end.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert run.groups == [[1], [2, 3, 4]]


async def test_grouped__one_item_is_refused__its_caller_alone_is_told() -> None:
    grouped = Grouped(Doubling())
    answers = await asyncio.gather(*(grouped(n) for n in (1, -1, 3)), return_exceptions=True)
    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], ValueError)


async def test_grouped__the_run_fails__all_are_told_and_the_next_run_works() -> None:
    grouped = Grouped(Doubling())
    answers = await asyncio.gather(*(grouped(n) for n in (1, 0)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 2
    assert await grouped(5) == 10


async def test_grouped__more_than_a_group_holds__several_groups_in_order() -> None:
    run = Doubling()
    numbers = range(1, 2 * GROUP_SIZE + 2)
    answers = await asyncio.gather(*map(Grouped(run), numbers))
    assert answers == [2 * n for n in numbers]
    assert [len(group) for group in run.groups] == [GROUP_SIZE, GROUP_SIZE, 1]


async def test_grouped__cancelled_before_its_run__takes_no_part() -> None:
    run = Doubling()
    grouped = Grouped(run)
    run.may_end.clear()
    first, second, third = (asyncio.create_task(grouped(n)) for n in (1, 2, 3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    run.may_end.set()
    assert await asyncio.gather(first, third) == [2, 6]
    assert run.groups == [[1, 3]]


async def test_grouped__no_room__waits_until_nudged_or_refused() -> None:
    run = Doubling()
    places = 0
    grouped = Grouped(run, room=lambda: places - len(run.groups))
    tasks = [asyncio.create_task(grouped(n)) for n in (1, 2, 3)]
    await asyncio.sleep(0.01)
    assert run.groups == []
    places = 1
    grouped.nudge()
    await asyncio.sleep(0.01)
    assert run.groups == [[1]]
    grouped.refuse(TimeoutError("closed"))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0] == 2
    assert [type(answer) for answer in answers[1:]] == [TimeoutError] * 2


async def test_close__run_under_way__cancelled_with_its_callers() -> None:
    run = Doubling()
    grouped = Grouped(run)
    run.may_end.clear()
    task = asyncio.create_task(grouped(1))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(grouped(2))
    await asyncio.sleep(0.01)
    await grouped.close()
    for each in (task, waiting):
        with pytest.raises(asyncio.CancelledError):
            await each
    assert run.groups == [[1]]


async def test_grouped__several_at_once__the_rest_waits_for_the_first_that_ends() -> None:
    run = Doubling()
    grouped = Grouped(run, at_once=2)
    run.may_end.clear()
    tasks = []
    for number in (1, 2, 3, 4):
        tasks.append(asyncio.create_task(grouped(number)))
        await asyncio.sleep(0.01)
    assert run.groups == [[1], [2]]
    run.may_end.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert run.groups == [[1], [2], [3, 4]]


async def test_grouped__several_at_once__what_comes_together_still_goes_together() -> None:
    run = Doubling()
    grouped = Grouped(run, at_once=4)
    assert await asyncio.gather(*map(grouped, (1, 2, 3))) == [2, 4, 6]
    assert run.groups == [[1, 2, 3]]


async def test_close__several_runs_under_way__all_are_cancelled() -> None:
    run = Doubling()
    grouped = Grouped(run, at_once=2)
    run.may_end.clear()
    tasks = []
    for number in (1, 2, 3):
        tasks.append(asyncio.create_task(grouped(number)))
        await asyncio.sleep(0.01)
    await grouped.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 3


@pytest.mark.parametrize("at_once", [1, 3])
async def test_grouped__comes_just_when_a_run_has_ended__gets_its_own(at_once: int) -> None:
    grouped = Grouped(Doubling(), at_once=at_once)

    async def ask(number: int) -> int:
        for _ in range(number % 7):  # steps of the loop: some come in each of a run's last ones
            await asyncio.sleep(0)
        return await grouped(number)

    numbers = range(1, 100)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*map(ask, numbers)) == [2 * n for n in numbers]
