"""Time limits by chain time, for everything that a process has under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from decentralized_vllm.protocol.ports import Clock
from dvllm_worker.pipeline.deadline import TimeBudget

LOOK_AT_CLOCK_S = 0.5
LEAP_S = 1.5  # more than blocks that are told to the second are off anyway


class Limits:
    """`async with limits.until(budget):` raises TimeoutError when the budget's work is over.

    Chain time may leap with a block. One look at the clock, by `run`, serves all limits: they are
    moved only when it leapt.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budgets: dict[asyncio.Timeout, TimeBudget] = {}

    @asynccontextmanager
    async def until(self, budget: TimeBudget) -> AsyncIterator[asyncio.Timeout]:
        async with asyncio.timeout(budget.work_s(self._clock.now_s())) as limit:
            self._budgets[limit] = budget
            try:
                yield limit
            finally:
                self._budgets.pop(limit, None)

    def end_now(self, limit: asyncio.Timeout) -> None:
        """Whatever the clock says from now on."""
        if self._budgets.pop(limit, None) is not None and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        offset_s = self._offset_s()
        while True:
            await asyncio.sleep(LOOK_AT_CLOCK_S)
            before_s, offset_s = offset_s, self._offset_s()
            if abs(offset_s - before_s) > LEAP_S:
                self._move_all()
            else:
                offset_s = before_s  # small steps add up to a leap

    def _offset_s(self) -> float:
        return self._clock.now_s() - asyncio.get_running_loop().time()

    def _move_all(self) -> None:
        now_s, loop_s = self._clock.now_s(), asyncio.get_running_loop().time()
        for limit, budget in self._budgets.items():
            if not limit.expired():
                limit.reschedule(loop_s + budget.work_s(now_s))
