"""Creates tasks in processes that are killed at their first statement, their second, and so on.

Prints the id and the exit code of each; the last one lives, since it has fewer statements.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event

from dvllm_gateway.ids import TaskId, new_task_id
from dvllm_gateway.state import SqlTaskStore, open_database
from tests.support.gateway_tasks import ASSIGNMENT, new_task


def main(location: str) -> None:
    statement, code = 0, -1
    while code != 0:
        statement += 1
        task_id = new_task_id()
        code = _in_a_process(location, task_id, statement)
        print(task_id, code, flush=True)


def _in_a_process(location: str, task_id: TaskId, dies_at: int) -> int:
    """Forked, for it would take long to import everything again each time."""
    pid = os.fork()
    if pid == 0:
        asyncio.run(_create(location, task_id, dies_at))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def _create(location: str, task_id: TaskId, dies_at: int) -> None:
    async with open_database(location) as database:
        _die_at(dies_at)
        await SqlTaskStore(database).create(new_task(id=task_id), ASSIGNMENT)


def _die_at(statement: int) -> None:
    seen = 0

    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)


if __name__ == "__main__":
    main(sys.argv[1])
