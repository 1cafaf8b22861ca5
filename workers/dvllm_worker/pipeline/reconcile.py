"""What to do with a journal row when the contract's word on its job has just been read."""

from enum import Enum, auto

from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage


class Verdict(Enum):
    WORK = auto()  # the lease is ours: go on from the row's stage
    HAND_BACK = auto()  # the lease is ours, and a failJob was begun
    CONFIRM = auto()  # our delivery is on chain
    FAILED = auto()  # our failJob is on chain
    WATCH = auto()  # not ours, but may become so
    LOST = auto()  # nothing left to do


# A delivery by this key that the row knows nothing of came from another copy of the journal.
_SENT = (Stage.SUBMITTING, Stage.SUBMITTED)


def reconcile(row: JobRow, state: JobState, is_same: bool, *, me: Address) -> Verdict:
    """The contract is right about the job, the row about what this node has already done.

    `is_same`: the job of this number is the request of the row, not another after a re-org.
    """
    if not is_same or state.status is JobStatus.NONE:
        return Verdict.LOST
    if state.status is JobStatus.LEASED and state.node == me:
        return Verdict.HAND_BACK if row.stage is Stage.FAILING else Verdict.WORK
    if state.status is JobStatus.DELIVERED and state.node == me and row.stage in _SENT:
        return Verdict.CONFIRM
    if row.stage is Stage.FAILING:
        return Verdict.FAILED
    if state.status in (JobStatus.LEASED, JobStatus.OPEN):
        return Verdict.WATCH
    return Verdict.LOST
