"""Makes one call out of those that come while another is under way."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

GROUP_SIZE = 64  # endpoints take batches of a hundred; an answer in parts helps nobody


class Grouped(Generic[T, R]):
    """`await grouped(item)`: alone it runs at once; what comes while `at_once` runs are under way
    goes into the next one.

    `run` answers for each item in its place, with a result or with an error for that caller
    alone; what it raises is raised to all of the group. `room` says how many may go at the moment
    (`nudge` when it grew). Whoever is cancelled before its run began takes no part in it.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]],
        *,
        room: Callable[[], int] = lambda: GROUP_SIZE,
        at_once: int = 1,
    ) -> None:
        self._run = run
        self._room = room
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._at_once = at_once
        self._runners: set[asyncio.Task[None]] = set()
        self._is_starting = False

    async def __call__(self, item: T) -> R:
        return await self.add(item)

    def add(self, item: T) -> asyncio.Future[R]:
        """For whoever wants its answer later."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self.nudge()
        return answer

    def nudge(self) -> None:
        if self._is_starting or len(self._runners) >= self._at_once:
            return
        if self._waiting and self._room() > 0:
            self._is_starting = True
            runner = asyncio.create_task(self._run_groups())
            self._runners.add(runner)

    def refuse(self, error: Exception) -> None:
        """Raises `error` to all whose run has not begun."""
        while self._waiting:
            _settle(self._waiting.popleft()[1], error)

    async def close(self) -> None:
        """Cancels the runs under way and whoever waits, and returns when they have ended."""
        runners = tuple(self._runners)
        for runner in runners:
            runner.cancel()
        if runners:
            await asyncio.wait(runners)
        while self._waiting:
            self._waiting.popleft()[1].cancel()

    async def _run_groups(self) -> None:
        self._is_starting = False
        try:
            while group := self._next_group():
                await self._run_group(group)
        finally:  # at once: who comes next must find the place free
            self._runners.remove(_this_task())

    def _next_group(self) -> list[tuple[T, asyncio.Future[R]]]:
        most = min(GROUP_SIZE, self._room())
        group: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(group) < most:
            entry = self._waiting.popleft()
            if not entry[1].done():
                group.append(entry)
        return group

    async def _run_group(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._run([item for item, _ in group])
        except BaseException as error:
            for _, answer in group:
                _settle(answer, error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), result in zip(group, results, strict=True):
            _settle(answer, result)


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _settle(answer: asyncio.Future[R], result: R | BaseException) -> None:
    if answer.done():
        return  # its caller no longer waits
    if isinstance(result, Exception):
        answer.set_exception(result)
    elif isinstance(result, BaseException):
        answer.cancel()
    else:
        answer.set_result(result)
