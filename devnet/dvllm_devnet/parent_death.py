"""Lets the kernel end a child when its parent is gone, so that even `kill -9` leaves no orphan."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def dies_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child runs between fork and exec; None where the kernel has no such service.

    The signal follows the *thread* that forks: start children from the main thread only.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Looked up before the fork: a forked child must not take locks of the dynamic loader.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        failed = prctl(_PR_SET_PDEATHSIG, int(death_signal)) != 0
        if failed or os.getppid() != parent:  # the parent may have died before the call above
            os._exit(1)

    return in_child
