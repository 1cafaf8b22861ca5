"""Rates that several gateways count together, over the library's storage in memory."""

import asyncio

import pytest
from limits.aio.storage import MemoryStorage
from limits.errors import StorageError

from dvllm_gateway.errors import RateLimited
from dvllm_gateway.services.limits import Budgets, RateLimits
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.services.rate_redis import LibraryWindow, RedisWindows, SturdyWindows
from dvllm_gateway.services.rate_windows import Counted, Taken, Window
from tests.support.auth_parts import Clock

HOUR_S = 3600
WIDE, NARROW = Counted("wide", Rate(5, HOUR_S)), Counted("narrow", Rate(2, HOUR_S))


class Breakable(RedisWindows):
    """`is_away` as a Redis that does not answer; `quicker` calls come between look and count."""

    def __init__(self) -> None:
        super().__init__(LibraryWindow(MemoryStorage()))
        self.is_away = False
        self.quicker: list[Counted] = []

    async def read(self, counted: list[Counted]) -> list[Window]:  # type: ignore[override]
        if self.is_away:
            raise StorageError(ConnectionError("away"))
        windows = await super().read(counted)
        while self.quicker:
            await self._window.take(self.quicker.pop(), 1)
        return windows


async def used(windows: RedisWindows | MemoryWindows) -> list[int]:
    return [window.used() for window in await windows.read([WIDE, NARROW])]


@pytest.mark.parametrize("windows", [Breakable(), MemoryWindows()], ids=["shared", "memory"])
async def test_take__one_refuses__none_is_counted(windows: RedisWindows | MemoryWindows) -> None:
    for n_before in range(2):
        taken = await windows.take([WIDE, NARROW], 1)
        assert taken.is_counted
        assert [window.used() for window in taken.windows] == [n_before] * 2
    for order in ([WIDE, NARROW], [NARROW, WIDE]):
        taken = await windows.take(order, 1)
        assert not taken.is_counted
        assert [window.used() for window in taken.windows] == [2, 2]
    assert await used(windows) == [2, 2]


async def test_take__others_were_quicker__refused_with_what_is_so_now() -> None:
    windows = Breakable()
    await windows.take([NARROW], 1)
    windows.quicker = [NARROW]
    taken = await windows.take([NARROW], 1)
    assert not taken.is_counted
    assert [window.used() for window in taken.windows] == [2]


async def test_count__others_were_quicker__refused_with_a_time() -> None:
    windows = Breakable()
    limits = RateLimits(windows)
    windows.quicker = [Counted("dialect/dvllm/submit/team", Rate(1, HOUR_S))]
    with pytest.raises(RateLimited) as refused:
        await limits.count("dvllm", "submit", Rate(1, HOUR_S), "team", spends=True)
    assert refused.value.retry_after_s
    assert refused.value.retry_after_s > 1


async def test_count_tokens__others_were_quicker__takes_the_rest() -> None:
    windows = Breakable()
    rate = Rate(100, HOUR_S)
    limits = RateLimits(windows, Budgets(tokens=rate))
    windows.quicker = [Counted("tokens/team", rate)] * 10
    assert (await limits.count_tokens("team", 95)).remaining == 0
    (window,) = await windows.read([Counted("tokens/team", rate)])
    assert window.used() == 100


async def test_count_tokens__of_nothing__takes_nothing() -> None:
    limits = RateLimits(MemoryWindows(), Budgets(tokens=Rate(100, HOUR_S)))
    assert (await limits.count_tokens("team", 0)).remaining == 100


async def test_sturdy__shared_is_away__own_counts_until_it_is_asked_again() -> None:
    shared, own, clock = Breakable(), MemoryWindows(), Clock()
    sturdy = SturdyWindows(shared, own, retry_s=5, clock=clock)

    async def take() -> Taken:
        return await sturdy.take([WIDE, NARROW], 1)

    assert (await take()).is_counted
    shared.is_away = True
    assert [(await take()).is_counted for _ in range(3)] == [True, True, False]
    shared.is_away = False
    assert not (await take()).is_counted  # it is left alone for a while
    clock.now_s += 5
    assert [(await take()).is_counted for _ in range(2)] == [True, False]
    assert await used(own) == await used(shared) == [2, 2]


async def test_sturdy__back_again__is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    shared, clock = Breakable(), Clock()
    sturdy = SturdyWindows(shared, MemoryWindows(), retry_s=5, clock=clock)
    shared.is_away = True
    await asyncio.gather(*(sturdy.take([WIDE], 1) for _ in range(3)))
    shared.is_away = False
    clock.now_s += 5
    for _ in range(3):
        await sturdy.take([WIDE], 1)
    told = [line.getMessage() for line in caplog.records]
    assert [("away" in line, "back" in line) for line in told] == [(True, False), (False, True)]


async def test_knows__only_what_was_counted() -> None:
    windows = MemoryWindows()
    await windows.read([WIDE])
    assert not windows.knows(WIDE)
    await windows.take([WIDE], 1)
    assert windows.knows(WIDE)
    assert not windows.knows(Counted(WIDE.key, NARROW.rate))  # another rate counts anew
