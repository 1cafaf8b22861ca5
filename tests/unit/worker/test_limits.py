"""Limits by chain time: they follow it when it leaps."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from dvllm_worker.pipeline import limits as limits_module
from dvllm_worker.pipeline.deadline import TimeBudget
from dvllm_worker.pipeline.limits import Limits

FAR_S = 1000.0


class LeapingClock:
    def __init__(self) -> None:
        self.leapt_s = 0.0

    def now_s(self) -> float:
        return time.monotonic() + self.leapt_s

    async def sleep_s(self, duration_s: float) -> None: ...


@pytest.fixture
def clock() -> LeapingClock:
    return LeapingClock()


@pytest.fixture
async def limits(clock: LeapingClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Limits]:
    monkeypatch.setattr(limits_module, "LOOK_AT_CLOCK_S", 0.01)
    limits = Limits(clock)
    running = asyncio.create_task(limits.run())
    yield limits
    running.cancel()


def budget(clock: LeapingClock, work_s: float) -> TimeBudget:
    return TimeBudget(clock.now_s() + work_s, 0.0)


async def test_until__work_is_done_in_time__no_more_heard_of_it(
    clock: LeapingClock, limits: Limits
) -> None:
    async with limits.until(budget(clock, FAR_S)):
        await asyncio.sleep(0.05)
    assert limits._budgets == {}


async def test_until__time_is_over__cut_off(clock: LeapingClock, limits: Limits) -> None:
    with pytest.raises(TimeoutError):
        async with limits.until(budget(clock, 0.05)):
            await asyncio.Event().wait()


async def test_until__chain_time_leaps__cut_off_at_once(
    clock: LeapingClock, limits: Limits
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60), limits.until(budget(clock, FAR_S)):
            await asyncio.sleep(0.03)
            clock.leapt_s = FAR_S
            await asyncio.Event().wait()


async def test_until__chain_time_creeps__cut_off_all_the_same(
    clock: LeapingClock, limits: Limits
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60), limits.until(budget(clock, 10.0)):
            while True:
                clock.leapt_s += 0.1
                await asyncio.sleep(0.02)


async def test_end_now__whatever_the_clock_says(clock: LeapingClock, limits: Limits) -> None:
    with pytest.raises(TimeoutError):
        async with limits.until(budget(clock, FAR_S)) as limit:
            limits.end_now(limit)
            clock.leapt_s = -FAR_S
            await asyncio.Event().wait()
