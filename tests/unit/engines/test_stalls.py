"""Silence is measured per request, from its last sign of life."""

import asyncio

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
