"""Tasks that no job is made of, as tests set them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import JobId, Wei
from dvllm_gateway.errors import (
    Conflict,
    GatewayError,
    NotFound,
)
from dvllm_gateway.ids import AccountId, TaskId, new_task_id
from dvllm_gateway.services.tasks import (
    Failure,
    StreamEnd,
    TaskFilter,
    TaskPage,
    TaskRecord,
    TaskRequest,
    TaskState,
    TextChunk,
)
from tests.support.gateway_in_memory.facts import (
    ASKER,
    MODEL,
    NOON_MS,
    PROMPT_CID,
    RESPONSE_CID,
    WORKER,
)


def task(account: AccountId = ASKER, **changes: object) -> TaskRecord:
    """A task that waits for its job's transaction."""
    record = TaskRecord(
        id=new_task_id(),
        account=account,
        model_id=MODEL.id,
        prompt="What is AI?",
        prompt_cid=PROMPT_CID,
        max_tokens=100,
        state=TaskState.PENDING,
        created_at_ms=NOON_MS,
        reserved_wei=Wei(10**17),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def submitted(record: TaskRecord, job_id: int = 456) -> TaskRecord:
    return replace(record, job_id=JobId(job_id), submitted_at_ms=NOON_MS + 1000)


def completed(record: TaskRecord) -> TaskRecord:
    return replace(
        submitted(record),
        state=TaskState.COMPLETED,
        started_at_ms=NOON_MS + 5000,
        completed_at_ms=NOON_MS + 35_200,
        worker=WORKER,
        response="AI is …",
        response_cid=RESPONSE_CID,
        finish_reason=FinishReason.STOP,
        usage=Usage(5, 7),
    )


@dataclass
class MemoryTasks:
    """`is_mined` False leaves submissions without a job; `fails` is raised by submit."""

    records: dict[TaskId, TaskRecord] = field(default_factory=dict)
    requests: list[TaskRequest] = field(default_factory=list)
    is_mined: bool = True
    fails: GatewayError | None = None
    refused_by_chain: Failure | None = None

    def put(self, record: TaskRecord) -> TaskRecord:
        self.records[record.id] = record
        return record

    async def submit(
        self, account: AccountId, request: TaskRequest, *, task_id: TaskId | None = None
    ) -> TaskRecord:
        if self.fails is not None:
            raise self.fails
        self.requests.append(request)
        named = {} if task_id is None else {"id": task_id}
        asked = {"prompt": request.shown_prompt, "model_id": request.model_id}
        return self.put(task(account, **asked, **named))

    async def submit_all(
        self,
        account: AccountId,
        requests: Sequence[TaskRequest],
        *,
        task_ids: Sequence[TaskId] | None = None,
    ) -> tuple[TaskRecord, ...]:
        ids: Sequence[TaskId | None] = task_ids or [None] * len(requests)
        return tuple(
            [
                await self.submit(account, request, task_id=task_id)
                for request, task_id in zip(requests, ids, strict=True)
            ]
        )

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        return task(account, prompt=request.shown_prompt, model_id=request.model_id)

    async def get(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        record = self.records.get(task_id)
        if record is None or record.account != account:
            raise NotFound("there is no such task")
        return record

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        found = [
            record
            for record in reversed(self.records.values())
            if record.account == account
            and (not chosen.states or record.state in chosen.states)
            and (chosen.since_ms is None or record.created_at_ms >= chosen.since_ms)
        ]
        return TaskPage(tuple(found[: chosen.limit]), len(found))

    async def wait_submitted(
        self, account: AccountId, task_id: TaskId, timeout_s: float
    ) -> TaskRecord:
        record = await self.get(account, task_id)
        if self.refused_by_chain is not None:
            return replace(record, state=TaskState.FAILED, failure=self.refused_by_chain)
        return self.put(submitted(record)) if self.is_mined else record

    async def wait_over(self, account: AccountId, task_id: TaskId, timeout_s: float) -> TaskRecord:
        return await self.get(account, task_id)

    async def stream(
        self, account: AccountId, task_id: TaskId
    ) -> AsyncIterator[TextChunk | StreamEnd]:
        record = await self.get(account, task_id)
        yield TextChunk(record.response or "", 1)

    async def cancel(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        record = await self.get(account, task_id)
        if record.state.is_over:
            raise Conflict("the task is over")
        return self.put(replace(record, state=TaskState.CANCELLED))
