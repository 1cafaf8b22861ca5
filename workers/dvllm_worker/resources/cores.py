"""Keeps the worker and its engines on some of the cores. Linux only; elsewhere it does nothing."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil


def available_cores() -> tuple[int, ...]:
    """Those this process was started with. Empty where that can not be told."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0)))


def keep_to(cores: Iterable[int]) -> None:
    """All threads of this process and of those below it; what they start later follows."""
    chosen = set(cores)
    if not chosen:
        return
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):
            _each_thread(process, lambda thread: os.sched_setaffinity(thread, chosen))


def _each_thread(process: psutil.Process, act: Callable[[int], None]) -> None:
    for thread in process.threads():
        with suppress(ProcessLookupError, PermissionError):  # it ended, or is not ours
            act(thread.id)
