"""Tells a hung engine from a slow one: something asked of it has been silent for too long."""

import asyncio
from collections.abc import Callable, Hashable

LAST_LOOK_S = 1.0  # for what arrived while this very process was halted, and is not read yet


class StallWatch:
    """Bookkeeping over a clock in seconds of what is under way and when it last gave a sign."""

    def __init__(self, timeout_s: float, now_s: Callable[[], float]) -> None:
        self.timeout_s = timeout_s
        self._now_s = now_s
        self._last_sign_s: dict[Hashable, float] = {}

    def begin(self, key: Hashable) -> None:
        self._last_sign_s[key] = self._now_s()

    def beat(self, key: Hashable) -> None:
        """A sign of life of one request, if it is still under way."""
        if key in self._last_sign_s:
            self._last_sign_s[key] = self._now_s()

    def beat_all(self) -> None:
        """For an engine that queues inside: progress of one request speaks for all."""
        self._last_sign_s = dict.fromkeys(self._last_sign_s, self._now_s())

    def end(self, key: Hashable) -> None:
        self._last_sign_s.pop(key, None)

    def left_s(self) -> float:
        """Until the most silent request is too silent; 0 or less: it is. Idle: a whole timeout."""
        now_s = self._now_s()
        oldest_s = min(self._last_sign_s.values(), default=now_s)
        return oldest_s + self.timeout_s - now_s

    async def stalled(self) -> None:
        """Returns when something is. Sleeps to the deadline, which each sign of life moves on."""
        is_last_look = False
        while (left_s := self.left_s()) > 0 or not is_last_look:
            is_last_look = left_s <= 0
            await asyncio.sleep(LAST_LOOK_S if is_last_look else left_s)
