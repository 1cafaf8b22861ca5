"""Waits for a task and shows meanwhile, on standard error, what is known of it."""

from rich.console import Console
from rich.status import Status

from decentralized_vllm.aio import AsyncClient
from decentralized_vllm.requester.inputs import TaskOrId, job_id_of
from decentralized_vllm.requester.tasks import Task, TaskProgress


async def wait_visibly(client: AsyncClient, task: TaskOrId, timeout_s: float | None) -> Task:
    """Raises what `wait_for_completion` raises. Quiet where standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return await client.wait_for_completion(task, timeout_s)
    with console.status(f"job {job_id_of(task)}: waiting for a node") as status:
        line = _Line(status)
        client.on("task_started", line.started)
        client.on("task_progress", line.progress)
        await client.start_monitoring()
        return await client.wait_for_completion(task, timeout_s)


class _Line:
    def __init__(self, status: Status) -> None:
        self._status = status

    def started(self, task: Task) -> None:
        self._status.update(f"job {task.id}: {task.worker} works on it")

    def progress(self, progress: TaskProgress) -> None:
        self._status.update(
            f"job {progress.id}: {progress.n_tokens} tokens, {progress.percentage:.0f} %"
        )
