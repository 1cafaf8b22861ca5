"""A task's record as it begins, and what is told of one that is over."""

from dvllm_gateway.ids import AccountId, TaskId, new_task_id
from dvllm_gateway.services.task_endings import why_failed
from dvllm_gateway.services.task_market import Quote
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord, TaskRequest, TaskState, TextChunk


def new_record(
    account: AccountId, request: TaskRequest, quote: Quote, task_id: TaskId | None, *, now_ms: int
) -> TaskRecord:
    return TaskRecord(
        id=task_id or new_task_id(),
        account=account,
        model_id=request.model_id,
        prompt=request.shown_prompt,
        prompt_cid=quote.prompt_cid,
        max_tokens=request.document.parameters.max_tokens,
        state=TaskState.PENDING,
        created_at_ms=now_ms,
        reserved_wei=quote.escrow_wei,
    )


def in_one_piece(record: TaskRecord) -> tuple[TextChunk, StreamEnd]:
    """Raises TaskFailed for a task without an answer."""
    if record.response is None or record.finish_reason is None or record.usage is None:
        raise why_failed(record)
    return (
        TextChunk(record.response, record.usage.n_output_tokens),
        StreamEnd(record.finish_reason, record.usage, record),
    )
