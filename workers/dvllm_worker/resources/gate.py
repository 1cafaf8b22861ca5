"""A semaphore whose size may change; whoever is inside stays inside."""

import asyncio
from types import TracebackType


class SlotGate:
    """`async with gate:` waits for a free slot."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._n_inside = 0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._n_inside < self._size)
            self._n_inside += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._n_inside -= 1  # first and without a wait: a cancelled holder must give it back
        async with self._changed:
            self._changed.notify()

    async def resize(self, size: int) -> None:
        self._size = size
        async with self._changed:
            self._changed.notify_all()
