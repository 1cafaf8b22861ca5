"""How long a request spent on others: a block, a node, its own caller.

What is left of its time is the gateway's own, which is what the gateway is measured by.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """`waited_s` grows while the request it belongs to is inside `waiting()`."""

    def __init__(self) -> None:
        self.waited_s = 0.0


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
    """Around waits for what is not the gateway's work. Not to be nested."""
    began_s = time.perf_counter()
    try:
        yield
    finally:
        stopwatch = _current.get()
        if stopwatch is not None:
            stopwatch.waited_s += time.perf_counter() - began_s
