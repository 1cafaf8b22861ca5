"""How long a request spent on others: a block, a node, its own caller.

What is left of its time is the gateway's own, which is what the gateway is measured by.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """`waited_s` grows while the request it belongs to waits, in however many places at once, and
    nothing of the gateway's own is done for it meanwhile.
    """

    def __init__(self) -> None:
        self.waited_s = 0.0
        self._n_waits = 0
        self._n_works = 0
        self._began_s = 0.0

    def change(self, *, n_waits: int = 0, n_works: int = 0) -> None:
        now_s = time.perf_counter()
        if self._n_waits and not self._n_works:
            self.waited_s += now_s - self._began_s
        self._n_waits += n_waits
        self._n_works += n_works
        self._began_s = now_s


_current: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


class measured:  # a class, since a generator costs each request three times the processor
    """Around one request."""

    def __enter__(self) -> Stopwatch:
        stopwatch = Stopwatch()
        self._token = _current.set(stopwatch)
        return stopwatch

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


@contextmanager
def waiting() -> Iterator[None]:
    """Around waits for what is not the gateway's work. Those that overlap count once."""
    stopwatch = _current.get()
    if stopwatch is None:
        yield
        return
    stopwatch.change(n_waits=1)
    try:
        yield
    finally:
        stopwatch.change(n_waits=-1)


def woken_late(*, due_at_s: float) -> None:
    """Inside of `waiting`, once it is over: what passed since `due_at_s`, as `perf_counter` tells
    it, was no waiting. What was waited for was there, and the gateway busy with others."""
    stopwatch = _current.get()
    if stopwatch is not None:
        stopwatch.waited_s -= time.perf_counter() - due_at_s


@contextmanager
def working() -> Iterator[None]:
    """Around what the gateway does in the background for a request that waits for its outcome:
    the database, the content store, the check of an answer. It is no waiting, whoever waits."""
    stopwatch = _current.get()
    if stopwatch is None:
        yield
        return
    stopwatch.change(n_works=1)
    try:
        yield
    finally:
        stopwatch.change(n_works=-1)
