"""Answers that nobody listens to any more, and that use tokens all the same."""

import asyncio

from dvllm_gateway.dialects.openai.run import CountUsage
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.ports import Tasks

WAITED_S = 3600.0


class Leftovers:
    """Each is a task that still runs, of which an account has so many at once and no more."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[None]] = set()

    def count_at_end(
        self, tasks: Tasks, account: AccountId, task_id: TaskId, count: CountUsage
    ) -> None:
        waiting = asyncio.create_task(_count(tasks, account, task_id, count))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)


async def _count(tasks: Tasks, account: AccountId, task_id: TaskId, count: CountUsage) -> None:
    try:
        record = await tasks.wait_over(account, task_id, WAITED_S)
        if record.usage is not None:
            await count(record.usage)
    except GatewayError:
        return  # nobody waits for it, and its tokens are not worth more than this
