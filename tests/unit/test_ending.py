"""What goes on whether or not its caller waits, and what the caller gets of it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from decentralized_vllm.ending import Ending, in_thread


async def test_ending__succeeds_or_fails_before_it_is_asked_for__told_all_the_same() -> None:
    good, bad = Ending[int](), Ending[int]()
    good.succeed(7)
    bad.fail(LookupError("mine"))
    assert await good.reached() == 7
    with pytest.raises(LookupError, match="mine"):
        await bad.reached()


async def test_in_thread__caller_waits__has_the_result_or_the_error() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert await in_thread(threads, lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await in_thread(threads, lambda: 1 // 0)


async def test_in_thread__caller_cancelled__ends_when_the_work_has() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(60)

    with ThreadPoolExecutor(1) as threads:
        caller = asyncio.create_task(in_thread(threads, work))
        await asyncio.to_thread(begun.wait, 60)
        caller.cancel()
        await asyncio.sleep(0.01)
        assert not caller.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_ending__caller_cancelled_just_as_it_ends__is_cancelled() -> None:
    ending = Ending[int]()
    caller = asyncio.create_task(ending.reached())
    await asyncio.sleep(0)
    ending.succeed(7)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
