"""The tasks of a request that may be sent again: however often it is, each is made once."""

from collections.abc import AsyncIterator, Sequence

from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.errors import GatewayError, NotFound
from dvllm_gateway.ids import AccountId, TaskId, task_id_after
from dvllm_gateway.services.ports import Attempt, Tasks
from dvllm_gateway.services.tasks import (
    StreamEnd,
    TaskFilter,
    TaskPage,
    TaskRecord,
    TaskRequest,
    TextChunk,
)


class KeyedTasks(Tasks):
    """The port Tasks for one attempt at a request.

    Its tasks have the ids that follow from its key, so a later attempt finds them. Who leaves in
    the middle means to come back: `cancel` only sets `is_unwanted`, and `give_up` cancels.
    """

    def __init__(self, tasks: Tasks, attempt: Attempt) -> None:
        self._tasks = tasks
        self._attempt = attempt
        self._begun: list[tuple[AccountId, TaskId]] = []
        self.is_unwanted = False

    @property
    def has_begun(self) -> bool:
        return bool(self._begun)

    async def has_first(self, account: AccountId) -> bool:
        """Whether an attempt before this one has made it."""
        return await self._known(account, self._attempt.first_task) is not None

    async def give_up(self) -> None:
        """As far as it can be: an answer under way is paid like any other."""
        for account, task_id in self._begun:
            try:
                await self._tasks.cancel(account, task_id)
            except GatewayError:
                continue  # over already, or out of reach: it ends by itself

    async def submit(
        self, account: AccountId, request: TaskRequest, *, task_id: TaskId | None = None
    ) -> TaskRecord:
        (record,) = await self.submit_all(account, [request])
        return record

    async def submit_all(
        self,
        account: AccountId,
        requests: Sequence[TaskRequest],
        *,
        task_ids: Sequence[TaskId] | None = None,
    ) -> tuple[TaskRecord, ...]:
        first, n_before = self._attempt.first_task, len(self._begun)
        ids = [task_id_after(first, n_before + n) for n in range(len(requests))]
        made = {} if self._attempt.is_new else await self._known_of(account, ids)
        missing = {i: request for i, request in zip(ids, requests, strict=True) if i not in made}
        if missing:
            new = await self._tasks.submit_all(account, [*missing.values()], task_ids=[*missing])
            made |= zip(missing, new, strict=True)
        self._begun += [(account, task_id) for task_id in ids]
        return tuple(made[task_id] for task_id in ids)

    async def _known_of(
        self, account: AccountId, ids: Sequence[TaskId]
    ) -> dict[TaskId, TaskRecord]:
        found = {task_id: await self._known(account, task_id) for task_id in ids}
        return {task_id: record for task_id, record in found.items() if record is not None}

    async def _known(self, account: AccountId, task_id: TaskId) -> TaskRecord | None:
        try:
            return await self._tasks.get(account, task_id)
        except NotFound:
            return None

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        return await self._tasks.preview(account, request)

    async def get(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        return await self._tasks.get(account, task_id)

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        return await self._tasks.list(account, chosen)

    async def wait_submitted(
        self, account: AccountId, task_id: TaskId, timeout_s: float
    ) -> TaskRecord:
        return await self._tasks.wait_submitted(account, task_id, timeout_s)

    async def wait_over(self, account: AccountId, task_id: TaskId, timeout_s: float) -> TaskRecord:
        return await self._tasks.wait_over(account, task_id, timeout_s)

    def stream(self, account: AccountId, task_id: TaskId) -> AsyncIterator[TextChunk | StreamEnd]:
        return self._tasks.stream(account, task_id)

    async def answer(self, account: AccountId, task_id: TaskId) -> StreamEnd:
        return await self._tasks.answer(account, task_id)

    async def document(self, task: TaskRecord) -> ResponseDocument:
        return await self._tasks.document(task)

    async def cancel(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        self.is_unwanted = True
        return await self._tasks.get(account, task_id)
