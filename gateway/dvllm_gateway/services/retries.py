"""Pauses between attempts, longer each time, within a limit for all of them together."""

import asyncio
import time


class Retries:
    """Seconds. `limit_s` None never gives up."""

    def __init__(
        self,
        *,
        first_s: float = 0.2,
        longest_s: float = 5.0,
        limit_s: float | None = None,
    ) -> None:
        self._pause_s = first_s
        self._longest_s = longest_s
        self._ends_s = None if limit_s is None else time.monotonic() + limit_s

    @property
    def is_over(self) -> bool:
        return self._ends_s is not None and time.monotonic() >= self._ends_s

    async def pause(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, self._longest_s)
