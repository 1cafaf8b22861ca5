"""Tasks that are never begun: what a request would have to reserve, found by almost doing it."""

from collections.abc import AsyncIterator, Sequence

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.ports import Tasks
from dvllm_gateway.services.tasks import (
    StreamEnd,
    TaskFilter,
    TaskPage,
    TaskRecord,
    TaskRequest,
    TextChunk,
)


class PricedError(Exception):
    """Whoever waits for such a task has submitted all that it would."""


class PricedTasks(Tasks):
    """The port Tasks for one request: `total_wei` is what was submitted would reserve."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.total_wei = Wei(0)

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        return await self._tasks.preview(account, request)

    async def submit(
        self, account: AccountId, request: TaskRequest, *, task_id: TaskId | None = None
    ) -> TaskRecord:
        record = await self.preview(account, request)
        self.total_wei = Wei(self.total_wei + record.reserved_wei)
        return record

    async def submit_all(
        self,
        account: AccountId,
        requests: Sequence[TaskRequest],
        *,
        task_ids: Sequence[TaskId] | None = None,
    ) -> tuple[TaskRecord, ...]:
        return tuple([await self.submit(account, request) for request in requests])

    async def get(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        raise PricedError

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        raise PricedError

    async def wait_submitted(
        self, account: AccountId, task_id: TaskId, timeout_s: float
    ) -> TaskRecord:
        raise PricedError

    async def wait_over(self, account: AccountId, task_id: TaskId, timeout_s: float) -> TaskRecord:
        raise PricedError

    async def stream(
        self, account: AccountId, task_id: TaskId
    ) -> AsyncIterator[TextChunk | StreamEnd]:
        raise PricedError
        yield  # only makes this a generator, as the port's is

    async def answer(self, account: AccountId, task_id: TaskId) -> StreamEnd:
        raise PricedError

    async def document(self, task: TaskRecord) -> ResponseDocument:
        raise PricedError

    async def cancel(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        raise PricedError
