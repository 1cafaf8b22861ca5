"""A request's own time: waits count, and those that overlap count once."""

import asyncio
from types import SimpleNamespace

import pytest

from dvllm_gateway.errors import TaskFailed
from dvllm_gateway.services import own_time
from dvllm_gateway.services.own_time import measured, waiting, woken_late, working
from dvllm_gateway.services.task_relay import Relay


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Of the whole process: the loop's own clock is another."""
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


def test_woken_late__since_it_was_due__is_not_waited(clock: SimpleNamespace) -> None:
    with measured() as stopwatch, waiting(), waiting():
        clock.now_s += 1
        due_at_s = clock.now_s
        clock.now_s += 2
        woken_late(due_at_s=due_at_s)
    assert stopwatch.waited_s == 1


async def test_relay__loop_is_busy_when_it_is_over__is_time_of_the_gateway(
    clock: SimpleNamespace,
) -> None:
    relay = Relay()
    with measured() as stopwatch:
        waiter = asyncio.create_task(relay.end())
        await asyncio.sleep(0)
        clock.now_s += 1
        relay.fail(TaskFailed("no answer"))
        clock.now_s += 2
        with pytest.raises(TaskFailed):
            await waiter
        with pytest.raises(TaskFailed):  # who comes afterwards waits for nothing
            await relay.end()
    assert stopwatch.waited_s == 1


def test_waiting__outside_of_any_request__is_nothing(clock: SimpleNamespace) -> None:
    with waiting():
        clock.now_s += 1
