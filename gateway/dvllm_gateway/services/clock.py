"""The machine's clock, in the unit of everything that is kept or shown."""

import time


def unix_ms() -> int:
    return time.time_ns() // 1_000_000
