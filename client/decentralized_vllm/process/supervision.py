"""Keeps the side loops of a program going: what they raise is logged, and they start again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


async def keep_running(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """For loops that decide afresh from state each time; never for one that could skip an event."""
    n_failures = 0
    while True:
        try:
            await loop()
            return
        except Exception:
            n_failures += 1
            pause_s = min(FIRST_PAUSE_S * 2 ** (n_failures - 1), LONGEST_PAUSE_S)
            log.exception("%s failed, %d times now; again in %.0f s", name, n_failures, pause_s)
            await asyncio.sleep(pause_s)
