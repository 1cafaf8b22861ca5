"""How long a request spent on others: a block, a node, its own caller.

What is left of its time is the gateway's own, which is what the gateway is measured by.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """`waited_s` grows while the request it belongs to is inside `waiting()`, however often."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self._n_waits = 0
        self._began_s = 0.0

    def enter(self) -> None:
        if not self._n_waits:
            self._began_s = time.perf_counter()
        self._n_waits += 1

    def leave(self) -> None:
        self._n_waits -= 1
        if not self._n_waits:
            self.waited_s += time.perf_counter() - self._began_s


_current: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def measured() -> Iterator[Stopwatch]:
    """Around one request."""
    stopwatch = Stopwatch()
    token = _current.set(stopwatch)
    try:
        yield stopwatch
    finally:
        _current.reset(token)


@contextmanager
def waiting() -> Iterator[None]:
    """Around waits for what is not the gateway's work. Those that overlap count once."""
    stopwatch = _current.get()
    if stopwatch is None:
        yield
        return
    stopwatch.enter()
    try:
        yield
    finally:
        stopwatch.leave()
