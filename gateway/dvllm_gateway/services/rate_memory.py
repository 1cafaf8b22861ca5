"""Rates counted in this process: each caller's calls in the current window and the one before."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dvllm_gateway.services.rate_windows import Counted, Taken, Window

MAX_COUNTERS = 1_000_000

_LOOKED_AT_PER_HIT = 2
_IN_SIGHT = (0, 1)  # windows ago

_Name: TypeAlias = tuple[str, int, int]


@dataclass(slots=True)
class _Counter:
    """`number` says which window `current` is of: windows are counted from the epoch on."""

    number: int
    previous: int = 0
    current: int = 0


class MemoryWindows:
    """Never waits, so nothing comes between reading and taking.

    By hand, since each call is counted several times: the library's storage costs four times the
    processor. At `max_counters` the oldest is forgotten: whoever makes a million of them gains a
    few calls.
    """

    def __init__(
        self, *, max_counters: int = MAX_COUNTERS, clock: Callable[[], float] = time.time
    ) -> None:
        self._max_counters = max_counters
        self._clock = clock
        self._counters: OrderedDict[_Name, _Counter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counters)

    async def read(self, counted: Sequence[Counted]) -> list[Window]:
        now_s = self._clock()
        return [self._window(one, now_s) for one in counted]

    def knows(self, one: Counted) -> bool:
        """False if nothing of it was ever counted, or all of that is forgotten."""
        return _name(one) in self._counters

    async def take(self, counted: Sequence[Counted], n_calls: int) -> Taken:
        now_s = self._clock()
        windows = [self._window(one, now_s) for one in counted]
        for window in windows:
            if not window.allows(n_calls):
                return Taken(False, windows)
        for one in counted:
            self._count(one, n_calls, now_s)
        return Taken(True, windows)

    def _window(self, one: Counted, now_s: float) -> Window:
        window_s = one.rate.window_s
        rest_s = window_s - now_s % window_s
        counter = self._counters.get(_name(one))
        if counter is None:
            return Window(one.rate, 0, 0, rest_s)
        age = int(now_s // window_s) - counter.number
        if age not in _IN_SIGHT:  # over, or the clock was put back since
            return Window(one.rate, 0, 0, rest_s)
        if age == 1:
            return Window(one.rate, counter.current, 0, rest_s)
        return Window(one.rate, counter.previous, counter.current, rest_s)

    def _count(self, one: Counted, n_calls: int, now_s: float) -> None:
        name, number = _name(one), int(now_s // one.rate.window_s)
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = _Counter(number)
            self._sweep(now_s)
        elif counter.number != number:
            counter.previous = counter.current if counter.number == number - 1 else 0
            counter.number, counter.current = number, 0
        counter.current += n_calls

    def _sweep(self, now_s: float) -> None:
        """Looks at the two oldest for each new one, so that what is over does not pile up."""
        for _ in range(min(_LOOKED_AT_PER_HIT, len(self._counters) - 1)):
            name, counter = self._counters.popitem(last=False)
            is_in_sight = int(now_s // name[2]) - counter.number in _IN_SIGHT
            if is_in_sight and len(self._counters) < self._max_counters:
                self._counters[name] = counter


def _name(one: Counted) -> _Name:
    """A changed rate starts to count anew."""
    return one.key, one.rate.n_calls, one.rate.window_s
