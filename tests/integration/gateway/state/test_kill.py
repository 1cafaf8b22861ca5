"""A gateway killed in the middle of making a task leaves all of it, or nothing."""

import signal
import subprocess
import sys
from pathlib import Path

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.ids import TaskId, new_task_id
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.state import SqlAccountStore, SqlTaskStore, open_database
from tests.support.gateway_tasks import ALICE

MOST_STATEMENTS = 15
HELD_WEI = 1_000


def create_in_a_process(location: str, task_id: TaskId, dies_at: int) -> int:
    command = [sys.executable, "-m", "tests.support.dying_writer", location, task_id, str(dies_at)]
    return subprocess.run(command, cwd=Path(__file__).parents[4], timeout=120).returncode


async def test_create__killed_at_each_statement__leaves_nothing(location: str) -> None:
    async with open_database(location) as database:
        accounts, tasks = SqlAccountStore(database), SqlTaskStore(database)
        await accounts.grant(ALICE, Wei(HELD_WEI), reason="test", at_ms=1)
        for statement in range(1, MOST_STATEMENTS):
            task_id = new_task_id()
            code = create_in_a_process(location, task_id, statement)
            if code == 0:
                break
            assert code == -signal.SIGKILL
            assert await tasks.get(task_id) is None
            assert await accounts.balance(ALICE) == Balance(Wei(HELD_WEI), Wei(0))
        assert statement > 5
        assert await tasks.get(task_id) is not None
        assert await accounts.balance(ALICE) == Balance(Wei(0), Wei(HELD_WEI))
        assert (await accounts.history(ALICE, limit=9, offset=0)).total == 2
