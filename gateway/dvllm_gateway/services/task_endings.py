"""How tasks end: from what happened to the record that is kept of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from dvllm_gateway.errors import GatewayError, Kind, PromptRefused, PromptTooLong, TaskFailed
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_market import Delivery
from dvllm_gateway.services.task_streams import with_answer
from dvllm_gateway.services.tasks import Failure, TaskRecord, TaskState

_FAILURES = {
    FailureCode.CONTENT_MISSING: "the prompt or the model could not be found",
    # Some clients know by these very words that they have to shorten it.
    FailureCode.CONTENT_TOO_LARGE: "the prompt is longer than the model's context length",
    # What a gateway sends is well formed, so it was the engine that refused it.
    FailureCode.CONTENT_INVALID: (
        "the node's engine refused the prompt: too long, or not valid for the model, "
        "such as a token id that it does not have"
    ),
    FailureCode.KEY_MISSING: "the key to the sealed prompt was missing",
}
_FAULTS_OF_PROMPTS = {
    FailureCode.CONTENT_TOO_LARGE: Kind.PROMPT_TOO_LONG,
    FailureCode.CONTENT_INVALID: Kind.PROMPT_REFUSED,
}
_RAISED: Mapping[Kind, type[PromptTooLong | PromptRefused]] = {
    Kind.PROMPT_TOO_LONG: PromptTooLong,
    Kind.PROMPT_REFUSED: PromptRefused,
}
_HANDED_BACK = {
    FailureCode.BUSY: "handed back as busy",
    FailureCode.ENGINE_FAILED: "handed back for a failed engine",
}


def completed(record: TaskRecord, job: Job, delivery: Delivery, *, now_ms: int) -> TaskRecord:
    """Never costs more than was reserved, whatever the chain took.

    Where the task was not watched when its answer began, the node's word on it counts, as far as
    it can be true.
    """
    now_ms = _at_the_end(record, now_ms)
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
    state, kind, message = TaskState.FAILED, Kind.NO_CAPACITY, _unanswered(job)
    if job.status is JobStatus.CANCELLED:
        state, kind, message = TaskState.CANCELLED, Kind.TASK_FAILED, "the task was cancelled"
    elif job.status is JobStatus.FAILED and job.failure is not None:
        kind = _FAULTS_OF_PROMPTS.get(job.failure, Kind.TASK_FAILED)
        message = _FAILURES.get(job.failure, job.failure.name.lower())
    known = replace(record, job_id=job.id, request_tx=job.request_tx, worker=job.node)
    return _without_answer(known, state, kind, message, now_ms)


def why_failed(record: TaskRecord) -> PromptTooLong | PromptRefused | TaskFailed:
    """For whoever waited for an answer."""
    failure = record.failure or Failure(Kind.TASK_FAILED, "the task has no answer")
    told = _RAISED.get(failure.kind, TaskFailed)
    return told(failure.message, details="nothing was charged", task_created=True)


def _unanswered(job: Job) -> str:
    """What the chain tells of why no node answered; of nodes that took no job it tells nothing."""
    if not job.n_leases:
        return "no node took the job in time: those of this model are busy, suspended or away"
    counts = Counter(_HANDED_BACK.get(code, "handed back") for code in job.handed_back)
    counts["held without an answer"] = job.n_leases - len(job.handed_back)
    told = [f"{what} {_times(n)}" for what, n in counts.items() if n > 0]
    return f"no node answered in time: the job was {', '.join(told)}"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _without_answer(
    record: TaskRecord, state: TaskState, kind: Kind, message: str, now_ms: int
) -> TaskRecord:
    return replace(
        record,
        state=state,
        completed_at_ms=_at_the_end(record, now_ms),
        cost_wei=Wei(0),
        response=None,
        response_cid=None,
        failure=Failure(kind, message),
    )


def _at_the_end(record: TaskRecord, now_ms: int) -> int:
    """The clock may have been put back since: no task ends before it began."""
    seen_ms = (record.created_at_ms, record.submitted_at_ms or 0, record.started_at_ms or 0)
    return max(now_ms, *seen_ms)
