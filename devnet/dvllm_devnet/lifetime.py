"""Runs a network until it is done or told to end, and lets it end in good order."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """The first stop signal that came; what ran has cleaned up."""

    def __init__(self, stop_signal: signal.Signals) -> None:
        super().__init__(stop_signal.name)
        self.signal = stop_signal


def run_until_stopped(work: Coroutine[Any, Any, _T]) -> _T:
    """Raises Stopped after a signal. Further signals do not cut the cleaning up short."""
    return asyncio.run(_watched(work))


async def _watched(work: Coroutine[Any, Any, _T]) -> _T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    received: list[signal.Signals] = []

    def stop(stop_signal: signal.Signals) -> None:
        received.append(stop_signal)
        if len(received) == 1:
            task.cancel()

    for each in _STOP_SIGNALS:
        loop.add_signal_handler(each, stop, each)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise Stopped(received[0]) from None
