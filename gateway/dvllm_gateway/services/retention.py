"""Deletes what was kept long enough: a little at a time, so that nobody waits for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from dvllm_gateway.errors import GatewayError
from dvllm_gateway.services.clock import unix_ms
from dvllm_gateway.services.stores import OldTasks

log = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
BATCH = 200
PAUSE_S = 0.5  # between two batches
SWEEP_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Kept:
    """For how many days after its end; None for ever."""

    texts_days: int | None = None
    tasks_days: int | None = None


class _Forget(Protocol):
    def __call__(self, before_ms: int, *, limit: int) -> Awaitable[int]: ...


class Retention:
    """`run` must run. What is not over is never touched, and money is none of its business."""

    def __init__(
        self, tasks: OldTasks, kept: Kept, *, clock_ms: Callable[[], int] = unix_ms
    ) -> None:
        self._tasks = tasks
        self._kept = kept
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except GatewayError as error:
                log.warning("old_tasks_stay", extra={"reason": error.message})
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self, *, pause_s: float = PAUSE_S) -> None:
        """Raises NetworkUnavailable."""
        await self._forget(self._tasks.forget_texts, self._kept.texts_days, "texts", pause_s)
        await self._forget(self._tasks.forget, self._kept.tasks_days, "tasks", pause_s)

    async def _forget(self, forget: _Forget, days: int | None, what: str, pause_s: float) -> None:
        if days is None:
            return
        before_ms, total = self._clock_ms() - days * DAY_MS, 0
        while n_forgotten := await forget(before_ms, limit=BATCH):
            total += n_forgotten
            await asyncio.sleep(pause_s)
        if total:
            log.info("old_tasks_deleted", extra={"what": what, "count": total})
