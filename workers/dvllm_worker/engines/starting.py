"""Waits for an engine to load its model, telling somebody that it still does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from decentralized_vllm.protocol.errors import EngineUnavailable

# Called with the seconds so far and the engine's last log line.
StartProgress = Callable[[float, str], None]

T = TypeVar("T")

REPORT_EVERY_S = 2.0


def no_progress(elapsed_s: float, last_line: str) -> None:
    """For callers that do not care."""


async def wait_until_ready(
    ready: Coroutine[Any, Any, T],
    *,
    timeout_s: float,
    last_line: Callable[[], str],
    on_progress: StartProgress,
) -> T:
    """The value of `ready`. Raises what it raises, and EngineUnavailable after `timeout_s`."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    task = asyncio.create_task(ready)
    try:
        while (elapsed_s := clock() - began_s) < timeout_s:
            await asyncio.wait({task}, timeout=min(REPORT_EVERY_S, timeout_s - elapsed_s))
            if task.done():
                return task.result()
            on_progress(clock() - began_s, last_line())
        raise EngineUnavailable(
            f"the model was not loaded after {timeout_s:.0f} s: {last_line()}",
            hint="raise engine.start_timeout_s",
        )
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
