"""How tasks end: from what happened to the record that is kept of it."""

from dataclasses import replace

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from dvllm_gateway.errors import GatewayError, Kind, TaskFailed
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_market import Delivery
from dvllm_gateway.services.task_streams import with_answer
from dvllm_gateway.services.tasks import Failure, TaskRecord, TaskState

_FAILURES = {
    FailureCode.CONTENT_MISSING: "the prompt or the model could not be found",
    FailureCode.CONTENT_TOO_LARGE: "the prompt is longer than the model takes",
    FailureCode.CONTENT_INVALID: "the prompt is not valid",
    FailureCode.KEY_MISSING: "the key to the sealed prompt was missing",
}


def completed(record: TaskRecord, job: Job, delivery: Delivery, *, now_ms: int) -> TaskRecord:
    """Never costs more than was reserved, whatever the chain took.

    Where the task was not watched when its answer began, the node's word on it counts, as far as
    it can be true.
    """
    told_ms = min(max(delivery.answer.started_at_ms, record.created_at_ms), now_ms)
    started_at_ms = record.started_at_ms or told_ms
    return replace(
        with_answer(record, job, delivery.answer),
        state=TaskState.COMPLETED,
        submitted_at_ms=record.submitted_at_ms or started_at_ms,
        started_at_ms=started_at_ms,
        completed_at_ms=now_ms,
        cost_wei=Wei(min(delivery.price_wei, record.reserved_wei)),
    )


def failed(record: TaskRecord, error: GatewayError, *, now_ms: int) -> TaskRecord:
    return _without_answer(record, TaskState.FAILED, error.kind, error.message, now_ms)


def unwanted(record: TaskRecord, *, now_ms: int) -> TaskRecord:
    """Cancelled before anything of it was sent."""
    return _without_answer(
        record, TaskState.CANCELLED, Kind.TASK_FAILED, "the task was cancelled", now_ms
    )


def ended_on_chain(record: TaskRecord, job: Job, *, now_ms: int) -> TaskRecord:
    """Of a job that is over without a delivery."""
    state, message = TaskState.FAILED, "no node answered in time"
    kind = Kind.NO_CAPACITY
    if job.status is JobStatus.CANCELLED:
        state, kind, message = TaskState.CANCELLED, Kind.TASK_FAILED, "the task was cancelled"
    elif job.status is JobStatus.FAILED and job.failure is not None:
        kind, message = Kind.TASK_FAILED, _FAILURES.get(job.failure, job.failure.name.lower())
    known = replace(record, job_id=job.id, request_tx=job.request_tx, worker=job.node)
    return _without_answer(known, state, kind, message, now_ms)


def why_failed(record: TaskRecord) -> TaskFailed:
    """For whoever waited for an answer."""
    reason = record.failure.message if record.failure else "the task has no answer"
    return TaskFailed(reason, details="nothing was charged", task_created=True)


def _without_answer(
    record: TaskRecord, state: TaskState, kind: Kind, message: str, now_ms: int
) -> TaskRecord:
    return replace(
        record,
        state=state,
        completed_at_ms=now_ms,
        cost_wei=Wei(0),
        response=None,
        response_cid=None,
        failure=Failure(kind, message),
    )
