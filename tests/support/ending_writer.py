"""A gateway process that tells of progress of tasks and then ends them all, in an order of its own.

Its arguments: the database, a seed, what each costs, and the tasks. Prints those that it ended.
"""

import asyncio
import random
import sys
from collections.abc import Sequence

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.tasks import TaskRecord
from dvllm_gateway.state import SqlTaskStore, open_database
from tests.support.gateway_tasks import completed, submitted


async def main(location: str, seed: str, cost_wei: str, *task_ids: str) -> None:
    async with open_database(location) as database:
        store = SqlTaskStore(database)
        found = [await store.get(TaskId(task_id)) for task_id in task_ids]
        records = [record for record in found if record is not None]
        print("ready", flush=True)
        sys.stdin.readline()
        order = random.Random(seed).sample(records, len(records))
        progress = [store.update([submitted(record) for record in order]) for _ in range(3)]
        _, ended = await asyncio.gather(
            asyncio.gather(*progress), _ended(store, order, Wei(int(cost_wei)))
        )
        print(*ended)


async def _ended(store: SqlTaskStore, order: Sequence[TaskRecord], cost_wei: Wei) -> list[TaskId]:
    told = await asyncio.gather(*(store.finish(completed(each, cost_wei)) for each in order))
    return [record.id for record, was_mine in zip(order, told, strict=True) if was_mine]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
