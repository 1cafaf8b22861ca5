"""Work that goes on when the request that began it is gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Background:
    """Holds its tasks until they end; a draining gateway waits for them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def to_its_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, which runs on even if the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def wait(self, timeout_s: float) -> None:
        """Lets what runs end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    async def drain(self, timeout_s: float) -> None:
        """As `wait`; what does not end in time is cancelled."""
        await self.wait(timeout_s)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller was told, or is gone
