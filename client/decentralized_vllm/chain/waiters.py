"""Wakes exactly those whose condition came true."""

import asyncio
from collections.abc import Callable


class Waiters:
    """Like a condition variable for hundreds: `look` asks every condition, and wakes few tasks."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    async def until(self, holds: Callable[[], bool]) -> None:
        if holds():
            return
        met: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[met] = holds
        try:
            await met
        finally:
            del self._waiting[met]

    def look(self) -> None:
        """Something changed."""
        for met, holds in self._waiting.items():
            if not met.done() and holds():
                met.set_result(None)
