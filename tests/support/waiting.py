"""Waits for what happens in other processes, without guessing how long it takes."""

import asyncio
from collections.abc import Callable

import psutil

PATIENCE_S = 180.0
LOOK_EVERY_S = 0.05


async def wait_until(
    holds: Callable[[], bool], *, what: str, patience_s: float = PATIENCE_S
) -> None:
    async def look() -> None:
        while not holds():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(LOOK_EVERY_S)

    try:
        await asyncio.wait_for(look(), timeout=patience_s)
    except TimeoutError:
        raise AssertionError(f"still waiting after {patience_s:g} s for: {what}") from None


def is_alive(pid: int) -> bool:
    """False also for a process that has ended and was not yet waited for."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
