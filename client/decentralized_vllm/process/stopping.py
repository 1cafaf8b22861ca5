"""The first stop signal drains, the second ends at once."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    def __init__(self) -> None:
        self.drain = asyncio.Event()
        self.at_once = asyncio.Event()

    def request(self) -> None:
        """Once for a drain, twice for an end."""
        (self.at_once if self.drain.is_set() else self.drain).set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in STOP_SIGNALS:
            loop.add_signal_handler(each, self.request)
        try:
            yield
        finally:
            for each in STOP_SIGNALS:
                loop.remove_signal_handler(each)
