"""Silence is measured per request, from its last sign of life."""

import asyncio
import time
from contextlib import suppress

import pytest

from dvllm_worker.engines.stalls import StallWatch


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_left__idle__a_whole_timeout_for_ever(clock: Clock) -> None:
    watch = StallWatch(5, clock)
    clock.now_s += 1000
    assert watch.left_s() == 5


def test_left__beat__moves_the_deadline_of_that_request_only(clock: Clock) -> None:
    watch = StallWatch(5, clock)
    watch.begin("a")
    watch.begin("b")
    clock.now_s += 4
    watch.beat("a")
    assert watch.left_s() == 1
    watch.beat("b")
    assert watch.left_s() == 5


def test_left__beat_all__speaks_for_every_request(clock: Clock) -> None:
    watch = StallWatch(5, clock)
    watch.begin("a")
    watch.begin("b")
    clock.now_s += 4
    watch.beat_all()
    assert watch.left_s() == 5


def test_left__ended_request__forgotten_even_if_it_beats_late(clock: Clock) -> None:
    watch = StallWatch(5, clock)
    watch.begin("a")
    watch.end("a")
    watch.beat("a")
    clock.now_s += 1000
    assert watch.left_s() == 5


def test_left__too_silent__not_above_zero(clock: Clock) -> None:
    watch = StallWatch(5, clock)
    watch.begin("a")
    clock.now_s += 5
    assert watch.left_s() == 0


async def test_stalled__silent_request__returns() -> None:
    watch = StallWatch(0.05, asyncio.get_running_loop().time)
    watch.begin("a")
    await asyncio.wait_for(watch.stalled(), timeout=5)


async def test_stalled__we_were_halted_ourselves__what_arrived_meanwhile_counts() -> None:
    watch = StallWatch(0.05, asyncio.get_running_loop().time)
    watch.begin("a")

    async def read_what_arrived() -> None:
        for _ in range(5):  # so many turns of the loop pass until it is taken in
            await asyncio.sleep(0)
        watch.beat("a")

    stalled = asyncio.create_task(watch.stalled())
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - as SIGSTOP, or a virtual machine that is moved
    await read_what_arrived()
    await asyncio.sleep(0)
    assert not stalled.done()
    stalled.cancel()
    with suppress(asyncio.CancelledError):
        await stalled
