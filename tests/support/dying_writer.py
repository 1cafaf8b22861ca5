"""A process that creates a task and is killed at a statement: `LOCATION TASK_ID STATEMENT`."""

import asyncio
import os
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event

from dvllm_gateway.ids import TaskId
from dvllm_gateway.state import SqlTaskStore, open_database
from tests.support.gateway_tasks import ASSIGNMENT, new_task


async def main(location: str, task_id: str, statement: int) -> None:
    async with open_database(location) as database:
        _die_after(statement)
        await SqlTaskStore(database).create(new_task(id=TaskId(task_id)), ASSIGNMENT)


def _die_after(statement: int) -> None:
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
