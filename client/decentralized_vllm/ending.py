"""Waits for what must not be left half-way, also when whoever waits for it is cancelled."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ending(Generic[T]):
    """How something ends that goes on whether or not its caller still waits.

    The caller is woken in one step of the loop. Through futures and `wait` it takes three, and on
    a busy loop steps are what it waits for.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._result: Callable[[], T] | None = None
        self._woken: asyncio.Future[None] = self._loop.create_future()

    def succeed(self, value: T) -> None:
        self._end(lambda: value)

    def fail(self, error: BaseException) -> None:
        def result() -> T:
            raise error

        self._end(result)

    async def reached(self) -> T:
        """What it ended with, for one caller. A cancellation is passed on once it has ended."""
        try:
            await self._woken
        except asyncio.CancelledError:
            await self._until_ended()
            raise
        assert self._result is not None
        return self._result()

    def _end(self, result: Callable[[], T]) -> None:
        self._result = result
        if not self._woken.done():
            self._woken.set_result(None)

    async def _until_ended(self) -> None:
        if self._result is None:
            self._woken = self._loop.create_future()  # the other was cancelled with its caller
            await self._woken


async def in_thread(threads: Executor, work: Callable[[], T]) -> T:
    """What `work` returns or raises, in a thread. A cancelled caller waits for it, too."""
    ending: Ending[T] = Ending()
    threads.submit(_run, work, ending, asyncio.get_running_loop())
    return await ending.reached()


def _run(work: Callable[[], T], ending: Ending[T], loop: asyncio.AbstractEventLoop) -> None:
    try:
        value = work()
    except BaseException as error:
        loop.call_soon_threadsafe(ending.fail, error)
    else:
        loop.call_soon_threadsafe(ending.succeed, value)
