"""Sliding window counters, as figures: how much of a rate is used, and when there is room again."""

from collections.abc import Sequence
from math import floor
from typing import NamedTuple, Protocol

from dvllm_gateway.services.ports import LimitState, Rate


class Window(NamedTuple):
    """What counts of a rate: this window's calls, and the share of the last one's still in sight.

    `rest_s` is what is left of this window, or of the last one where this one has no calls.
    """

    rate: Rate
    previous: int
    current: int
    rest_s: float

    def used(self) -> int:
        return floor(self.previous * self.rest_s / self.rate.window_s) + self.current

    def allows(self, n_calls: int) -> bool:
        return self.used() + n_calls <= self.rate.n_calls

    def room(self, n_calls: int) -> int:
        """How many of `n_calls` more are allowed."""
        return max(0, min(n_calls, self.rate.n_calls - self.used()))

    def wait_s(self, n_calls: int) -> int:
        """Whole seconds until `n_calls` more are allowed, if nothing else is counted meanwhile."""
        if self.allows(n_calls):
            return 0
        wait_s = self._reckoned_wait_s(n_calls)
        # What is rounded may fall just short of it.
        return wait_s if self._later(wait_s).allows(n_calls) else wait_s + 1

    def _reckoned_wait_s(self, n_calls: int) -> int:
        room = self.rate.n_calls - n_calls + 1 - self.current  # has to be more than what is used
        if room > 0:
            return floor(self.rest_s - room * self.rate.window_s / self.previous) + 1
        # Not in this window; in the next one, when enough of this one's calls are out of sight.
        shown = (self.rate.n_calls - n_calls + 1) / self.current
        return floor(self.rest_s + self.rate.window_s * (1 - shown)) + 1

    def _later(self, seconds: float) -> "Window":
        """If nothing else is counted meanwhile."""
        rest_s = self.rest_s - seconds
        if rest_s > 0:
            return Window(self.rate, self.previous, self.current, rest_s)
        return Window(self.rate, self.current, 0, max(0.0, rest_s + self.rate.window_s))

    def state(self, n_calls: int = 0) -> LimitState:
        """As it is once `n_calls` more are counted. It resets with the window, or when it allows
        a call again, whichever is later."""
        n_most = self.rate.n_calls
        remaining = max(0, n_most - n_calls - self.used())
        reset_s = floor(self.rest_s or self.rate.window_s) + 1
        if not remaining:
            after = Window(self.rate, self.previous, self.current + n_calls, self.rest_s)
            reset_s = max(reset_s, after.wait_s(1))
        return LimitState(n_most, remaining, reset_s)


class Counted(NamedTuple):
    """One of the rates that a call is counted by; `key` names the counter."""

    key: str
    rate: Rate


class Taken(NamedTuple):
    """Whether calls were counted, and the windows as they were just before."""

    is_counted: bool
    windows: Sequence[Window]


class Windows(Protocol):
    async def read(self, counted: Sequence[Counted]) -> list[Window]: ...

    async def take(self, counted: Sequence[Counted], n_calls: int) -> Taken:
        """Counts them by each, if all allow it: all are looked at before any is counted.

        Where others count at the same time, one may refuse after that look. That one is not
        counted then, but others may be.
        """
