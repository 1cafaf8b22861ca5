"""Many may add at once; garbage collection runs alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ImportGate:
    """Shared for whoever writes blocks it has not pinned yet, exclusive for the collector.

    Whoever holds it shared may take it shared again: the collector waits, it never goes first.
    """

    def __init__(self) -> None:
        self._adding = 0
        self._collecting = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._collecting)
            self._adding += 1
        try:
            yield
        finally:
            async with self._changed:
                self._adding -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def collecting(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._collecting and self._adding == 0)
            self._collecting = True
        try:
            yield
        finally:
            async with self._changed:
                self._collecting = False
                self._changed.notify_all()
