"""A gateway killed in the middle of making a task leaves all of it, or nothing."""

import signal
import subprocess
import sys
from pathlib import Path

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.state import SqlAccountStore, SqlTaskStore, open_database
from tests.support.gateway_tasks import ALICE

HELD_WEI = 1_000
ROOT = Path(__file__).parents[4]


def killed_at_each_statement(location: str) -> list[tuple[TaskId, int]]:
    command = [sys.executable, "-m", "tests.support.dying_writer", location]
    told = subprocess.run(command, cwd=ROOT, timeout=200, check=True, capture_output=True)
    lines = (line.split() for line in told.stdout.decode().splitlines())
    return [(TaskId(task_id), int(code)) for task_id, code in lines]


async def test_create__killed_at_each_statement__leaves_nothing(location: str) -> None:
    async with open_database(location) as database:
        accounts, tasks = SqlAccountStore(database), SqlTaskStore(database)
        await accounts.grant(ALICE, Wei(HELD_WEI), reason="test", at_ms=1)
        *killed, (lived, code) = killed_at_each_statement(location)
        assert code == 0
        assert len(killed) > 4
        for task_id, code in killed:
            assert code == -signal.SIGKILL
            assert await tasks.get(task_id) is None
        assert await tasks.get(lived) is not None
        assert await accounts.balance(ALICE) == Balance(Wei(0), Wei(HELD_WEI))
        assert (await accounts.history(ALICE, limit=99, offset=0)).total == 2
