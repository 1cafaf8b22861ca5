"""The gateway's task service in a process of its own, for tests to kill.

    python -m tests.support.task_process WHERE N_TASKS MAX_TOKENS

WHERE is the JSON of `task_network.Where`. Prints "task ID" for each task it takes and "ID NEWS" for
what becomes of it: "sent", and the states.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE, Popen

from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.ids import TaskId
from tests.support.task_network import ALICE, TaskGateway, Where, request, task_gateway
from tests.support.waiting import wait_until


class TaskProcess:
    def __init__(self, process: "Popen[bytes]", output: Path) -> None:
        self.process = process
        self._output = output

    def lines(self) -> list[str]:
        return self._output.read_text(encoding="utf-8").splitlines()

    async def says(self, news: str, *, n_tasks: int = 1) -> list[TaskId]:
        """The tasks of which it says so, once there are that many."""

        def of() -> list[TaskId]:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended: {self.lines()}")
            return [TaskId(line.split()[0]) for line in self.lines() if line.endswith(f" {news}")]

        await wait_until(lambda: len(of()) >= n_tasks, what=f"{n_tasks} tasks {news}")
        return of()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)


@contextmanager
def task_process(place: Where, *, n_tasks: int = 1, max_tokens: int = 8) -> Iterator[TaskProcess]:
    text = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(place).items()}
    output = place.folder / "task-process.txt"
    arguments = [json.dumps(text), str(n_tasks), str(max_tokens)]
    with output.open("wb") as stdout:
        process = Popen(
            [sys.executable, "-m", "tests.support.task_process", *arguments],
            stdout=stdout,
            stdin=PIPE,
            cwd=Path(__file__).parents[2],
        )
    try:
        yield TaskProcess(process, output)
    finally:
        process.kill()
        process.communicate()


async def _follow(gateway: TaskGateway, number: int, max_tokens: int) -> None:
    task = await gateway.service.submit(ALICE, request(f"word{number}", max_tokens=max_tokens))
    print(f"{task.id} taken", flush=True)
    told = {"taken"}
    while True:
        record = await gateway.service.get(ALICE, task.id)
        news = [record.state.value]
        if await gateway.crew.market().is_submitted(task.id):
            news.append("sent")
        for word in news:
            if word not in told:
                told.add(word)
                print(f"{task.id} {word}", flush=True)
        await asyncio.sleep(0.01)


async def _main(where: str, n_tasks: int, max_tokens: int) -> None:
    fields = json.loads(where)
    place = Where(**{**fields, "folder": Path(fields["folder"])})
    async with task_gateway(place) as gateway, asyncio.TaskGroup() as group:
        await gateway.grant(ALICE, tokens(50))
        for number in range(n_tasks):
            group.create_task(_follow(gateway, number, max_tokens))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
