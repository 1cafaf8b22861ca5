"""Short computations, done in order by slices of time: others are served between the slices."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

SLICE_S = 0.001

T = TypeVar("T")


class Slices:
    """What comes at once would hold the loop up if it was done at once. One at a time, each would
    wait until everybody else had a turn.
    """

    def __init__(self, *, slice_s: float = SLICE_S) -> None:
        self._slice_s = slice_s
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Not begun for whoever was cancelled before."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, done))
        if len(self._waiting) == 1:
            loop.call_soon(self._do_some)
        return await done

    def _do_some(self) -> None:
        until_s = time.perf_counter() + self._slice_s
        while self._waiting and time.perf_counter() < until_s:
            _do(*self._waiting.popleft())
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._do_some)


def _do(work: Callable[[], T], done: asyncio.Future[T]) -> None:
    if done.done():
        return
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)
