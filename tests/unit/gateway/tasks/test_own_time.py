"""A request's own time: waits count, and those that overlap count once."""

import asyncio
from types import SimpleNamespace

import pytest

from dvllm_gateway.services import own_time
from dvllm_gateway.services.own_time import measured, waiting, working


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(own_time.time, "perf_counter", lambda: clock.now_s)
    return clock


def test_waiting__nested__counts_once(clock: SimpleNamespace) -> None:
    with measured() as stopwatch:
        with waiting():
            clock.now_s += 1
            with waiting():
                clock.now_s += 2
        clock.now_s += 4
        with waiting():
            clock.now_s += 8
    assert stopwatch.waited_s == 11


async def test_waiting__in_tasks_of_one_request__counts_once(clock: SimpleNamespace) -> None:
    both_wait, may_end = asyncio.Barrier(3), asyncio.Event()

    async def wait() -> None:
        with waiting():
            await both_wait.wait()
            await may_end.wait()

    with measured() as stopwatch:
        tasks = [asyncio.create_task(wait()) for _ in range(2)]
        await both_wait.wait()
        clock.now_s += 3
        may_end.set()
        await asyncio.gather(*tasks)
    assert stopwatch.waited_s == 3


async def test_working__behind_a_request_that_waits__is_not_waited(clock: SimpleNamespace) -> None:
    async def work() -> None:
        clock.now_s += 1
        with working():
            clock.now_s += 2
            with working():
                clock.now_s += 4
        clock.now_s += 8

    with measured() as stopwatch:
        behind = asyncio.create_task(work())
        with waiting():
            await behind
        with working():
            clock.now_s += 16
    assert stopwatch.waited_s == 9


def test_waiting__outside_of_any_request__is_nothing(clock: SimpleNamespace) -> None:
    with waiting():
        clock.now_s += 1
