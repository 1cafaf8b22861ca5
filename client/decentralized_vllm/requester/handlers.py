"""Whom to tell of what happens to tasks."""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.requester.tasks import Task, TaskProgress

log = logging.getLogger(__name__)

EVENTS = ("task_submitted", "task_started", "task_progress", "task_completed", "task_failed")

Handler = Callable[[Any], Awaitable[None] | None]
Dispatch = Callable[[Handler, Task | TaskProgress], Awaitable[None]]


async def call_here(handler: Handler, subject: Task | TaskProgress) -> None:
    """Runs a handler in the event loop; it may be a coroutine function."""
    outcome = handler(subject)
    if inspect.isawaitable(outcome):
        await outcome


class Handlers:
    """`dispatch` decides where a handler runs. One that raises is logged and called again."""

    def __init__(self, dispatch: Dispatch = call_here) -> None:
        self._dispatch = dispatch
        self._by_event: dict[str, list[Handler]] = {name: [] for name in EVENTS}

    def on(self, event: str, handler: Handler) -> None:
        """Raises SettingError for an event that does not exist."""
        if event not in self._by_event:
            raise SettingError("event", f"{event!r} is none of {', '.join(EVENTS)}")
        self._by_event[event].append(handler)

    def wants(self, event: str) -> bool:
        return bool(self._by_event[event])

    async def tell(self, event: str, subject: Task | TaskProgress) -> None:
        for handler in list(self._by_event[event]):
            try:
                await self._dispatch(handler, subject)
            except Exception:  # a stranger's code: its failure must not end the monitoring
                log.exception("handler_failed", extra={"event": event, "job_id": subject.id})
