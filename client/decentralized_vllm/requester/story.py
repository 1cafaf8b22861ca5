"""From the events of one job to the task they tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from decentralized_vllm.protocol import events
from decentralized_vllm.protocol.errors import UnknownJob
from decentralized_vllm.protocol.ids import Address, BlockNumber, Cid, JobId, TxHash, Wei
from decentralized_vllm.protocol.jobs import FailureCode, JobState
from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.requester.tasks import STATUS_OF_JOB, Task, TaskStatus, Timing


@dataclass(slots=True)
class _Told:
    """What the events said so far."""

    request: events.InferenceRequested | None = None
    workers: list[Address] = field(default_factory=list)
    started_block: BlockNumber | None = None
    end: events.LogPosition | None = None
    response_cid: Cid | None = None
    price_wei: Wei | None = None
    refund_wei: Wei | None = None
    failure: FailureCode | None = None


def request_of(job_id: JobId, story: Sequence[events.ChainEvent]) -> events.InferenceRequested:
    """Raises UnknownJob."""
    for event in story:
        if isinstance(event, events.InferenceRequested) and event.job_id == job_id:
            return event
    raise UnknownJob(f"there is no request event of job {job_id}")


def blocks_of_interest(story: Sequence[events.ChainEvent]) -> set[BlockNumber]:
    """Blocks whose timestamps `tell` needs."""
    return {event.position.block_number for event in story}


def tell(
    state: JobState,
    story: Sequence[events.ChainEvent],
    block_times_s: Mapping[BlockNumber, int],
    document: ResponseDocument | None = None,
) -> Task:
    """The task as `story` tells it, in chain order. Raises UnknownJob without a request event."""
    request = request_of(state.job_id, story)
    told = _Told()
    for event in story:
        _hear(told, event)
    status = STATUS_OF_JOB[state.status]
    return Task(
        id=state.job_id,
        model_id=request.model_id,
        model_cid=request.model_cid,
        prompt_cid=request.prompt_cid,
        requester=request.controller,
        status=status,
        timing=_timing(request, told, block_times_s),
        escrow_wei=state.escrow_wei,
        request_tx=request.position.tx_hash,
        workers=tuple(told.workers),
        response=None if document is None else document.text,
        response_cid=told.response_cid,
        response_tx=_response_tx(told),
        price_wei=_price(status, state, told),
        refund_wei=_refund(status, told),
        failure=None if told.failure is None else told.failure.name.lower(),
        document=document,
    )


def _hear(told: _Told, event: events.ChainEvent) -> None:
    match event:
        case events.JobLeased():
            told.workers.append(event.node)
            if told.started_block is None:
                told.started_block = event.position.block_number
        case events.InferenceCompleted():
            told.response_cid = event.response_cid
            told.end = event.position
        case events.JobSettled():
            told.price_wei, told.refund_wei = event.price_wei, event.refund_wei
        case events.JobFailed():
            told.failure, told.refund_wei = event.code, event.refund_wei
            told.end = event.position
        case events.JobExpired() | events.JobCancelled():
            told.refund_wei = event.refund_wei
            told.end = event.position


def _timing(
    request: events.InferenceRequested, told: _Told, block_times_s: Mapping[BlockNumber, int]
) -> Timing:
    started = told.started_block
    return Timing(
        submitted=block_times_s[request.position.block_number],
        started=None if started is None else block_times_s[started],
        completed=None if told.end is None else block_times_s[told.end.block_number],
    )


def _response_tx(told: _Told) -> TxHash | None:
    return told.end.tx_hash if told.response_cid is not None and told.end is not None else None


def _price(status: TaskStatus, state: JobState, told: _Told) -> Wei | None:
    """A delivery that costs the whole escrow settles without an event."""
    if status is not TaskStatus.COMPLETED:
        return None
    return state.escrow_wei if told.price_wei is None else told.price_wei


def _refund(status: TaskStatus, told: _Told) -> Wei | None:
    if status is TaskStatus.COMPLETED and told.refund_wei is None:
        return Wei(0)
    return told.refund_wei
