"""Puts the other parts of a network behind the measured one, as if they had their own machines.

On two cores chain, store, node, callers and gateway fight for them after each block; on a network
they do not. Time the gateway waits while a node computes is no time of the gateway's own.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

LOWEST = 19


def put_last(pids: Iterable[int]) -> None:
    """These processes and what they started come last from now on: only root may undo that."""
    for pid in pids:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            each.nice(LOWEST)
            _lower_session(each.pid)


def step_back() -> None:
    """Puts this process last, which plays the callers, and nothing that it started."""
    os.nice(LOWEST)
    _lower_session(os.getpid())


def _lower_session(pid: int) -> None:
    """Linux shares processors among sessions first, each with a niceness of its own."""
    group = Path(f"/proc/{pid}/autogroup")
    for _ in range(10):
        try:
            group.write_text(str(LOWEST))
            return
        except FileNotFoundError:  # no automatic groups here
            return
        except BlockingIOError:  # whoever is not root may do it ten times a second
            time.sleep(0.1)
