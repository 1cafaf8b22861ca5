"""How often an address may come with credentials that are not valid."""

import time
from collections.abc import Callable

from dvllm_gateway.errors import RateLimited
from dvllm_gateway.services.limits import MINUTE_S
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.services.rate_windows import Counted

GUESSES = Rate(60, MINUTE_S)
MAX_ADDRESSES = 100_000


class Guesses:
    """Kept in this process and bounded: it stands before the database, and before Redis.

    Only what failed counts, and who may not guess any more is refused whatever it brings.
    """

    def __init__(self, rate: Rate = GUESSES, *, clock: Callable[[], float] = time.time) -> None:
        self._rate = rate
        self._windows = MemoryWindows(max_counters=MAX_ADDRESSES, clock=clock)

    async def check(self, address: str) -> None:
        """Raises RateLimited."""
        counted = Counted(address, self._rate)
        if not self._windows.knows(counted):  # as nearly all: a quick answer for each call
            return
        (window,) = await self._windows.read([counted])
        if not window.allows(1):
            wait_s = window.wait_s(1)
            raise RateLimited(
                f"too many wrong credentials: try again in {wait_s} s", retry_after_s=wait_s
            )

    async def note(self, address: str) -> None:
        await self._windows.take([Counted(address, self._rate)], 1)
