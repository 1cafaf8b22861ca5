"""Sees through what can not be taken back any more, also when whoever asked for it has left."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Commitment:
    """`is_made` when it is too late to take something back; `is_void` when nobody is left."""

    def __init__(self) -> None:
        self.is_made = False
        self.is_void = False


class SeeingThrough:
    def __init__(self) -> None:
        self._running: dict[asyncio.Task[Any], Commitment] = {}

    async def run(self, work: Callable[[Commitment], Coroutine[Any, Any, T]]) -> T:
        """A caller that is cancelled ends the work too, unless that has made its commitment."""
        commitment = Commitment()
        running = asyncio.create_task(work(commitment))
        self._running[running] = commitment
        running.add_done_callback(self._running.pop)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_log_failure)
            if not commitment.is_made:
                running.cancel()
            raise

    async def close(self) -> None:
        """What is under way is seen through no further."""
        running = dict(self._running)
        for task, commitment in running.items():
            commitment.is_void = True
            task.cancel()
        if running:
            await asyncio.wait(running)


def _log_failure(ended: asyncio.Task[Any]) -> None:
    if not ended.cancelled() and (error := ended.exception()) is not None:
        log.warning("abandoned_work_failed", extra={"reason": str(error)})
