"""Two layers of limits in memory: the dialect's table, and the budget over all dialects."""

import asyncio

import pytest

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.errors import RateLimited
from dvllm_gateway.services.limits import Budgets, RateLimits, read_rate
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.services.rate_windows import Counted
from tests.support.auth_parts import Clock

HOUR_S = 3600
TABLE = Rate(5, HOUR_S)
WIDE = Rate(1000, HOUR_S)


def limits(**budgets: Rate) -> RateLimits:
    return RateLimits(MemoryWindows(), Budgets(**budgets))  # type: ignore[arg-type]


async def spend(limits: RateLimits, *, dialect: str = "dvllm", rate: Rate = TABLE) -> int:
    return (await limits.count(dialect, "submit", rate, "team", spends=True)).remaining


async def remaining(limits: RateLimits, *, dialect: str = "dvllm", rate: Rate = TABLE) -> int:
    return (await limits.state(dialect, "submit", rate, "team", spends=True)).remaining


async def test_count__until_the_table_is_full__then_refused_with_a_time() -> None:
    desk = limits()
    assert [await spend(desk) for _ in range(5)] == [4, 3, 2, 1, 0]
    with pytest.raises(RateLimited) as caught:
        await spend(desk)
    assert caught.value.retry_after_s is not None
    assert 1 <= caught.value.retry_after_s <= 2 * HOUR_S
    assert await remaining(desk) == 0


async def test_count__other_caller_class_or_dialect__has_its_own_table() -> None:
    desk = limits()
    for _ in range(5):
        await spend(desk)
    assert (await desk.count("dvllm", "submit", TABLE, "ip:1.2.3.4", spends=True)).remaining == 4
    assert (await desk.count("dvllm", "models", TABLE, "team", spends=False)).remaining == 4
    assert await spend(desk, dialect="openai") == 4


async def test_count__budget_over_all_dialects__is_the_tighter_limit() -> None:
    desk = limits(inference=Rate(3, HOUR_S))
    assert await spend(desk, dialect="dvllm") == 2
    assert await spend(desk, dialect="openai") == 1
    assert await spend(desk, dialect="mesh") == 0
    for dialect in ("dvllm", "neuroshard"):
        with pytest.raises(RateLimited):
            await spend(desk, dialect=dialect)


async def test_count__refused_by_the_budget__costs_nothing_of_the_table_and_the_reverse() -> None:
    windows = MemoryWindows()
    by_budget = RateLimits(windows, Budgets(inference=Rate(1, HOUR_S)))
    await spend(by_budget)
    for _ in range(10):
        with pytest.raises(RateLimited):
            await spend(by_budget)
    assert await remaining(RateLimits(windows)) == 4

    by_table = limits(inference=Rate(7, HOUR_S))
    for _ in range(5):
        await spend(by_table)
    for _ in range(10):
        with pytest.raises(RateLimited):
            await spend(by_table)
    assert await spend(by_table, dialect="openai") == 1  # five and one of the seven are used


async def test_count__reads_and_spending__have_different_budgets() -> None:
    desk = limits(inference=Rate(1, HOUR_S), reads=Rate(2, HOUR_S))
    await spend(desk)
    state = await desk.count("dvllm", "status", WIDE, "team", spends=False)
    assert (state.limit, state.remaining) == (2, 1)


@pytest.mark.parametrize(("rate_class", "n_calls"), [("wallet", 10), ("deploy", 10), ("auth", 20)])
async def test_count__class_with_a_budget_of_its_own__has_it(rate_class: str, n_calls: int) -> None:
    desk = RateLimits(MemoryWindows())
    for _ in range(n_calls):
        await desk.count("dvllm", rate_class, WIDE, "ip:1.2.3.4", spends=False)
    with pytest.raises(RateLimited):
        await desk.count("openai", rate_class, WIDE, "ip:1.2.3.4", spends=False)


async def test_count__logins__both_rates_hold() -> None:
    budgets = Budgets(auth=(Rate(10, 60), Rate(3, HOUR_S)))
    desk = RateLimits(MemoryWindows(), budgets)
    states = [await desk.count("dvllm", "auth", WIDE, "ip:::", spends=False) for _ in range(3)]
    assert [(state.limit, state.remaining) for state in states] == [(3, 2), (3, 1), (3, 0)]


async def test_count__logins__a_hundred_an_hour() -> None:
    clock = Clock()
    desk = RateLimits(MemoryWindows(clock=clock))
    for _ in range(100):
        await desk.count("dvllm", "auth", Rate(20, 60), "ip:::", spends=False)
        clock.now_s += 5
    with pytest.raises(RateLimited) as refused:
        await desk.count("dvllm", "auth", Rate(20, 60), "ip:::", spends=False)
    assert refused.value.retry_after_s
    assert refused.value.retry_after_s > 60


async def test_count__many_at_once__exactly_as_many_as_allowed() -> None:
    desk = limits()
    outcomes = await asyncio.gather(*(spend(desk) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(outcome, int) for outcome in outcomes) == 5


async def test_state__asked_often__counts_nothing() -> None:
    desk = limits()
    assert [await remaining(desk) for _ in range(10)] == [5] * 10


async def test_count__window_over__counts_anew() -> None:
    desk = limits(inference=WIDE)
    short = Rate(1, 1)
    await spend(desk, rate=short)
    with pytest.raises(RateLimited) as caught:
        await spend(desk, rate=short)
    assert caught.value.retry_after_s is not None
    await asyncio.sleep(caught.value.retry_after_s)
    assert await spend(desk, rate=short) == 0


async def test_count_tokens__more_than_are_left__takes_what_is_left() -> None:
    desk = limits(tokens=Rate(100, 60))
    assert (await desk.count_tokens("team", 60)).remaining == 40
    assert (await desk.count_tokens("team", 41)).remaining == 0
    assert (await desk.count_tokens("team", 1)).remaining == 0
    state = await desk.token_state("team")
    assert (state.limit, state.remaining) == (100, 0)


async def test_count_tokens__more_than_a_minute_has__takes_it_all() -> None:
    desk = limits(tokens=Rate(100, 60))
    assert (await desk.count_tokens("team", 5000)).remaining == 0


async def test_windows__counters_of_the_past__swept_while_others_are_counted() -> None:
    now_s = 1000.0
    windows = MemoryWindows(clock=lambda: now_s)
    for number in range(1000):
        await windows.take([Counted(f"past/{number}", Rate(5, 60))], 1)
    now_s += 120
    for number in range(1000):
        await windows.take([Counted(f"present/{number}", Rate(5, 60))], 1)
    assert len(windows) == 1000
    (window,) = await windows.read([Counted("present/0", Rate(5, 60))])
    assert window.current == 1


async def test_windows__too_many_counters__forget_the_oldest() -> None:
    windows = MemoryWindows(max_counters=100)
    for number in range(1000):
        await windows.take([Counted(f"key/{number}", TABLE)], 1)
    assert len(windows) == 100
    (oldest, newest) = await windows.read([Counted("key/0", TABLE), Counted("key/999", TABLE)])
    assert (oldest.current, newest.current) == (0, 1)


@pytest.mark.parametrize(
    ("later_s", "previous", "current"),
    [(0, 0, 3), (59, 0, 3), (60, 3, 0), (119, 3, 0), (120, 0, 0)],
)
async def test_windows__time_goes_on__calls_move_into_the_past(
    later_s: int, previous: int, current: int
) -> None:
    now_s = 6000.0
    windows = MemoryWindows(clock=lambda: now_s)
    counted = [Counted("key", Rate(5, 60))]
    await windows.take(counted, 3)
    now_s += later_s
    (window,) = await windows.read(counted)
    assert (window.previous, window.current) == (previous, current)
    assert window.rest_s == 60 - later_s % 60
    assert (await windows.take(counted, 1)).is_counted
    (window,) = await windows.read(counted)
    assert (window.previous, window.current) == (previous, current + 1)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("100/minute", Rate(100, 60)), ("10 per 2 hours", Rate(10, 7200)), ("1/second", Rate(1, 1))],
)
def test_read_rate__as_people_write_it__read(text: str, rate: Rate) -> None:
    assert read_rate(text, "limits.reads") == rate


@pytest.mark.parametrize("text", ["", "100", "lots", "0/minute", "-1/minute", "5/fortnight"])
def test_read_rate__no_rate__refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"limits\.reads"):
        read_rate(text, "limits.reads")


async def test_count__clock_goes_back__whoever_was_at_the_limit_begins_anew() -> None:
    clock = Clock()
    windows = MemoryWindows(clock=clock)
    desk = RateLimits(windows, Budgets(inference=WIDE))
    for _ in range(TABLE.n_calls):
        await spend(desk)
    clock.now_s -= 5 * HOUR_S
    assert await remaining(desk) == TABLE.n_calls
    assert await spend(desk) == TABLE.n_calls - 1
    for n in range(2 * len(windows)):
        await windows.take([Counted(f"other {n}", TABLE)], 1)
    assert await spend(desk) == TABLE.n_calls - 2
