"""Limits counted in a real Redis by several gateways, and what happens while it is away."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.errors import RateLimited
from dvllm_gateway.services.limits import Budgets, RateLimits
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.services.rate_redis import SturdyWindows, redis_windows
from dvllm_gateway.services.rate_windows import Counted, Windows
from tests.support.redis_server import needs_redis, running_redis

pytestmark = needs_redis

HOUR_S = 3600
TABLE = Rate(5, HOUR_S)
ONE = Counted("key", TABLE)


@pytest.fixture
def redis_url() -> Iterator[str]:
    with running_redis() as url:
        yield url


async def spend(windows: Windows, rate: Rate = TABLE) -> int:
    limits = RateLimits(windows, Budgets(inference=Rate(1000, HOUR_S)))
    return (await limits.count("dvllm", "submit", rate, "team", spends=True)).remaining


async def test_count__two_gateways__share_what_is_left(redis_url: str) -> None:
    async with redis_windows(redis_url) as here, redis_windows(redis_url) as there:
        assert [await spend(here), await spend(there), await spend(here)] == [4, 3, 2]
        assert [await spend(there), await spend(there)] == [1, 0]
        for windows in (here, there):
            with pytest.raises(RateLimited) as caught:
                await spend(windows)
            assert caught.value.retry_after_s is not None
            assert HOUR_S <= caught.value.retry_after_s <= 2 * HOUR_S


async def test_count__many_gateways_at_once__never_more_than_allowed(redis_url: str) -> None:
    async with redis_windows(redis_url) as here, redis_windows(redis_url) as there:
        attempts = [spend(windows) for _ in range(20) for windows in (here, there)]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == TABLE.n_calls
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 35


async def test_count__window_over__allowed_when_it_was_said(redis_url: str) -> None:
    short = Rate(2, 1)
    async with redis_windows(redis_url) as windows:
        assert [await spend(windows, short), await spend(windows, short)] == [1, 0]
        with pytest.raises(RateLimited) as caught:
            await spend(windows, short)
        assert caught.value.retry_after_s is not None
        await asyncio.sleep(caught.value.retry_after_s)
        assert await spend(windows, short) >= 0


async def test_count__redis_goes_away_and_comes_back__counted_meanwhile_in_the_process() -> None:
    with ExitStack() as stack:
        url = stack.enter_context(running_redis())
        async with redis_windows(url) as windows:
            assert isinstance(windows, SturdyWindows)
            windows.retry_s = 0.1
            assert await spend(windows) == 4
            stack.close()
            assert [await spend(windows) for _ in range(5)] == [4, 3, 2, 1, 0]
            with pytest.raises(RateLimited):
                await spend(windows)
            with running_redis(urlsplit(url).port):
                await asyncio.sleep(0.2)
                assert [await spend(windows), await spend(windows)] == [4, 3]


async def test_windows__redis_never_there__counted_in_the_process() -> None:
    async with redis_windows("redis://127.0.0.1:9/0") as windows:
        assert await spend(windows) == 4


async def test_windows__no_redis_url__named() -> None:
    with pytest.raises(SettingError, match=r"limits\.redis_url"):
        async with redis_windows("memcached://127.0.0.1"):
            pytest.fail("it was opened")


async def test_windows__memory_and_redis__agree(redis_url: str) -> None:
    memory = MemoryWindows()
    async with redis_windows(redis_url) as redis:
        for n_calls in (1, 3, 2, 1, 5):
            for windows in (memory, redis):
                await windows.take([ONE], n_calls)
        read = [(await windows.read([ONE]))[0] for windows in (memory, redis)]
    assert [window.used() for window in read] == [5, 5]
    assert all(0 < window.rest_s <= HOUR_S for window in read)
