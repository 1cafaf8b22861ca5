"""Ports for programs that a test starts: no other test gets them, nor does an outgoing connection.

A port that the system chose may be taken again between the look at it and its use: by another test
process, or by any connection that needs a port of its own. So each test process deals out a part
of those below the system's range, one after the other.
"""

import itertools
import os
import random
from collections.abc import Iterator
from functools import cache

from dvllm_devnet.ports import is_free

_LOWEST, _HIGHEST = 10_000, 20_000  # `free_block` of a network without fixed ports begins there
_N_PARTS = 10
_PART = (_HIGHEST - _LOWEST) // _N_PARTS


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row."""
    while True:
        row = [next(_dealt()) for _ in range(count)]
        if row[-1] - row[0] == count - 1 and all(is_free(port) for port in row):
            return row[0]


@cache
def _dealt() -> Iterator[int]:
    """Starts anywhere, since another checkout's tests may run at the same time."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _LOWEST + number % _N_PARTS * _PART
    ports = range(first, first + _PART)
    return itertools.islice(itertools.cycle(ports), random.randrange(_PART), None)
