"""From events to what a node makes of a job."""

import pytest

from decentralized_vllm.protocol.events import (
    ChainEvent,
    InferenceCompleted,
    JobExpired,
    JobHandedBack,
    VersionAnnounced,
)
from decentralized_vllm.protocol.ids import Cid, JobId, ModelId, VersionNumber, Wei
from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_worker.pipeline.rows import JobRow, Marker
from dvllm_worker.pipeline.stages import Stage
from dvllm_worker.pipeline.watch import JobChange, changes_of, stage_after
from tests.support.jobs import (
    ME,
    OTHER,
    RESPONSE_CID,
    leased,
    opened,
    position,
    requested,
    row,
)

J1 = JobId(1)


def change_of(*events: ChainEvent) -> JobChange:
    return changes_of(events)[J1]


def test_changes__requested_and_leased__one_change_with_both() -> None:
    change = change_of(requested(), leased(until_s=300))
    assert (change.request, change.holder, change.until_s) == (requested(), ME, 300)
    assert change.as_of == Marker(10, 1)


def test_changes__leased_then_completed__is_over() -> None:
    done = InferenceCompleted(position(11), J1, OTHER, RESPONSE_CID)
    assert change_of(leased(node=OTHER), done).is_over


def test_changes__handed_back_then_opened__open_without_holder() -> None:
    back = JobHandedBack(position(11, 0), J1, OTHER, FailureCode.BUSY, Wei(1))
    change = change_of(leased(node=OTHER), back, opened(block=11, log=1))
    assert (change.holder, change.is_over) == (None, False)


def test_changes__over_in_the_batch_that_asked__is_over_with_its_request() -> None:
    done = InferenceCompleted(position(11), J1, ME, RESPONSE_CID)
    change = change_of(requested(), leased(until_s=300), done)
    assert (change.request, change.holder, change.until_s) == (requested(), ME, 300)
    assert change.is_over and change.as_of == Marker(11, done.position.log_index)


def test_changes__events_of_no_job__ignored() -> None:
    announced = VersionAnnounced(
        position(), VersionNumber(2), ModelId("m"), Cid("c"), serves_from_s=0
    )
    assert changes_of([announced]) == {}


NEW = JobChange(J1, Marker(12, 0), holder=ME, until_s=300)
TAKEN = JobChange(J1, Marker(12, 0), holder=OTHER, until_s=300)
OPEN = JobChange(J1, Marker(12, 0), until_s=300)
OVER = JobChange(J1, Marker(12, 0), is_over=True)


@pytest.mark.parametrize(
    ("change", "known", "expected"),
    [
        (NEW, None, Stage.LEASED),
        (NEW, row(stage=Stage.SEEN), Stage.LEASED),
        (NEW, row(stage=Stage.TAKING), Stage.LEASED),
        (NEW, row(stage=Stage.FAILED), Stage.LEASED),
        (NEW, row(stage=Stage.LOST), Stage.LEASED),
        (NEW, row(stage=Stage.GENERATING), None),
        (NEW, row(stage=Stage.FINAL), None),
        (TAKEN, None, Stage.SEEN),
        (TAKEN, row(stage=Stage.TAKING), Stage.SEEN),
        (TAKEN, row(stage=Stage.GENERATING), Stage.LOST),
        (TAKEN, row(stage=Stage.SUBMITTING), None),
        (TAKEN, row(stage=Stage.FAILED), None),
        (OPEN, None, Stage.SEEN),
        (OPEN, row(stage=Stage.PUBLISHED), Stage.LOST),
        (OPEN, row(stage=Stage.FAILING), None),
        (OVER, None, None),
        (OVER, row(stage=Stage.SEEN), Stage.LOST),
        (OVER, row(stage=Stage.FETCHED), Stage.LOST),
        (OVER, row(stage=Stage.SUBMITTED), None),
    ],
)
def test_stage_after__each_change__as_told(
    change: JobChange, known: JobRow | None, expected: Stage | None
) -> None:
    assert stage_after(change, known, me=ME) is expected


def test_stage_after__leased_again_with_an_answer__delivers_that_answer() -> None:
    from decentralized_vllm.protocol.generation import Usage

    lost = row(stage=Stage.LOST, response_cid=RESPONSE_CID, usage=Usage(1, 2))
    assert stage_after(NEW, lost, me=ME) is Stage.GENERATED


def test_stage_after__event_told_before__changes_nothing() -> None:
    known = row(stage=Stage.SEEN, as_of=Marker(12, 0))
    assert stage_after(NEW, known, me=ME) is None


def test_stage_after__expired_job_of_others__is_dropped() -> None:
    expired = change_of(JobExpired(position(12), J1, Wei(5)))
    assert stage_after(expired, row(stage=Stage.SEEN), me=ME) is Stage.LOST
