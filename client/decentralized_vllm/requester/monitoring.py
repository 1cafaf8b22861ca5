"""Whether a client"s handlers are told of its account"s tasks, and who tells them."""

import asyncio
from typing import TYPE_CHECKING

from decentralized_vllm.requester.handlers import Handlers
from decentralized_vllm.requester.tasks import Task

if TYPE_CHECKING:  # brings the chain along, which takes a second to import
    from decentralized_vllm.requester.monitor import Monitor


class Monitoring:
    """Begun and ended by callers, who may be the handlers themselves."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._monitor: Monitor | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        return self._running is not None and not self._running.done()

    def start(self, monitor: "Monitor") -> None:
        self._monitor = monitor
        self._running = asyncio.create_task(monitor.run())

    async def stop(self) -> None:
        """A handler that asks for it is not broken off itself."""
        monitor, running = self._monitor, self._running
        self._monitor = self._running = None
        if monitor is None or running is None:
            return
        monitor.end()
        if running is not asyncio.current_task():
            running.cancel()
            await asyncio.wait([running])

    async def tell_submitted(self, task: Task) -> None:
        if self._monitor is not None:
            await self._monitor.announce(task)
        else:
            await self._handlers.tell("task_submitted", task)
