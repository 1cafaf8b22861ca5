"""Watch: from the coordinator's events to what changed for each job that this node may serve."""

from collections.abc import Iterable
from dataclasses import dataclass

from decentralized_vllm.protocol.digests import request_digest
from decentralized_vllm.protocol.events import (
    ChainEvent,
    InferenceCompleted,
    InferenceRequested,
    JobCancelled,
    JobEvent,
    JobExpired,
    JobFailed,
    JobLeased,
    JobOpened,
)
from decentralized_vllm.protocol.ids import Address, JobId
from dvllm_worker.pipeline.rows import JobKey, JobRow, Marker
from dvllm_worker.pipeline.stages import Stage


@dataclass(frozen=True, slots=True)
class JobChange:
    """What a batch of events says about one job, the last word only.

    `holder` is None while the job is open; `until_s` ends the lease or the open time.
    """

    job_id: JobId
    as_of: Marker
    request: InferenceRequested | None = None
    holder: Address | None = None
    until_s: int = 0
    is_over: bool = False


def changes_of(events: Iterable[ChainEvent]) -> dict[JobId, JobChange]:
    """Folds events in chain order; those that change neither holder nor end are left out."""
    changes: dict[JobId, JobChange] = {}
    for event in events:
        if isinstance(event, JobEvent):
            change = _applied(changes.get(event.job_id), event)
            if change is not None:
                changes[event.job_id] = change
    return changes


def _applied(known: JobChange | None, event: JobEvent) -> JobChange | None:
    """Built anew and not by `replace`, which takes longer than all the rest of it."""
    job_id, request = event.job_id, None if known is None else known.request
    as_of = Marker(event.position.block_number, event.position.log_index)
    match event:
        case JobLeased():
            return JobChange(job_id, as_of, request, event.node, event.until_s)
        case JobOpened():
            return JobChange(job_id, as_of, request, None, event.until_s)
        case InferenceRequested():
            known = known or JobChange(job_id, as_of)
            return JobChange(job_id, as_of, event, known.holder, known.until_s, known.is_over)
        case InferenceCompleted() | JobFailed() | JobExpired() | JobCancelled():
            known = known or JobChange(job_id, as_of)
            return JobChange(job_id, as_of, request, known.holder, known.until_s, is_over=True)
        case _:
            return None


def stage_after(change: JobChange, row: JobRow | None, *, me: Address) -> Stage | None:
    """The stage that a change puts a job into; None when it changes nothing for this node."""
    if row is not None and change.as_of <= row.as_of:
        return None  # told before
    stage = row.stage if row is not None else None
    if change.is_over:
        return Stage.LOST if stage in _WAITING else None
    if change.holder == me:
        return _stage_of_own_lease(row)
    if stage in _WAITING - _OURS or stage is None:
        return Stage.SEEN
    return Stage.LOST if stage in _OURS else None


def _stage_of_own_lease(row: JobRow | None) -> Stage | None:
    """An answer once made is delivered again, not made again."""
    if row is None or row.stage in (Stage.SEEN, Stage.TAKING, Stage.FAILED):
        return Stage.LEASED
    if row.stage is Stage.LOST:
        return Stage.GENERATED if row.has_answer else Stage.LEASED
    return None


# Stages that the chain's events can end; from `submitting` on, and while failing, the sender's
# receipt tells how it went.
_OURS = frozenset({Stage.LEASED, Stage.FETCHED, Stage.GENERATING, Stage.GENERATED, Stage.PUBLISHED})
_WAITING = _OURS | {Stage.SEEN, Stage.TAKING}


def key_of(request: InferenceRequested, *, chain_id: int, coordinator: Address) -> JobKey:
    """The request's name in the journal; its digest is the one the contract keeps."""
    digest = request_digest(
        request.job_id,
        request.controller,
        request.prompt_cid,
        request.model_id,
        request.model_cid,
    )
    return JobKey(chain_id, coordinator, request.job_id, digest)
