"""Ends of many tasks at once: few transactions, and gateways that never wait in a circle."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
from sqlalchemy import Engine, event

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.tasks import TaskRecord
from dvllm_gateway.state import Database, SqlAccountStore, SqlTaskStore, open_database
from tests.support.gateway_tasks import ASSIGNMENT, completed, new_task
from tests.support.postgresql import Cluster

ROOT = Path(__file__).parents[4]
ACCOUNTS = [AccountId(f"team-{n}") for n in range(5)]
N_EACH = 20
HELD_WEI = 1_000


async def opened(database: Database) -> list[TaskRecord]:
    """Some of every account, in turns."""
    accounts, tasks = SqlAccountStore(database), SqlTaskStore(database)
    for account in ACCOUNTS:
        await accounts.grant(account, Wei(N_EACH * HELD_WEI), reason="test", at_ms=1)
    made = [replace(new_task(), account=account) for _ in range(N_EACH) for account in ACCOUNTS]
    for record in made:
        await tasks.create(record, ASSIGNMENT)
    return made


async def test_finish__many_at_once__in_few_transactions(database: Database) -> None:
    records = await opened(database)
    commits: list[None] = []

    def count(_: object) -> None:
        commits.append(None)

    event.listen(Engine, "commit", count)
    try:
        tasks = SqlTaskStore(database)
        ended = await asyncio.gather(*(tasks.finish(completed(each, 1)) for each in records))
    finally:
        event.remove(Engine, "commit", count)
    assert ended == [True] * len(records)
    assert len(commits) <= 10
    for account in ACCOUNTS:
        left = Balance(Wei(N_EACH * (HELD_WEI - 1)), Wei(0))
        assert await SqlAccountStore(database).balance(account) == left


def ended_by_two_processes(location: str, records: Sequence[TaskRecord]) -> list[list[TaskId]]:
    """What each of them ended; the first says that each cost 100 wei, the second 300."""
    command = [sys.executable, "-m", "tests.support.ending_writer", location]
    ids = [record.id for record in records]
    processes = [
        subprocess.Popen(
            [*command, seed, cost_wei, *ids],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for seed, cost_wei in (("one", "100"), ("two", "300"))
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [[TaskId(word) for word in line.split()] for line in told]


async def test_finish__of_the_same_tasks_by_two_processes__once_each_and_without_a_deadlock(
    cluster: Cluster,
) -> None:
    location = cluster.new_database()
    async with open_database(location) as database:
        records = await opened(database)
        first, second = await asyncio.to_thread(ended_by_two_processes, location, records)
        assert sorted([*first, *second]) == sorted(record.id for record in records)
        paid_wei = {**dict.fromkeys(first, 100), **dict.fromkeys(second, 300)}
        for account in ACCOUNTS:
            its_wei = sum(paid_wei[each.id] for each in records if each.account == account)
            left = Balance(Wei(N_EACH * HELD_WEI - its_wei), Wei(0))
            assert await SqlAccountStore(database).balance(account) == left
    assert deadlocks(location) == 0


def deadlocks(location: str) -> int:
    with psycopg.connect(location) as connection:
        row = connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])
