"""From events to tasks."""

import pytest

from decentralized_vllm.protocol import events
from decentralized_vllm.protocol.errors import UnknownJob
from decentralized_vllm.protocol.jobs import FailureCode, JobState, JobStatus
from decentralized_vllm.requester.story import blocks_of_interest, tell
from decentralized_vllm.requester.tasks import TaskStatus

TIMES = {block: 1_000 + block for block in range(20)}


def at(block):
    return events.LogPosition(block, f"0x{block:064x}", f"0xtx{block}", 0)


def state(status):
    return JobState(7, "asker", "node", 0, 1, status, 1, 255, False, 100, b"")


REQUEST = events.InferenceRequested(at(1), 7, "asker", "prompt", "tiny", "model")
LEASE = events.JobLeased(at(3), 7, "first", 99)
TAKEN = events.JobLeased(at(5), 7, "second", 99)
DELIVERED = events.InferenceCompleted(at(8), 7, "second", "answer")


def test_tell__open_job__is_pending():
    task = tell(state(JobStatus.OPEN), [REQUEST, events.JobOpened(at(1), 7, 99)], TIMES)
    assert (task.status, task.worker, task.timing.started) == (TaskStatus.PENDING, None, None)
    assert (task.request_tx, task.timing.total_time) == ("0xtx1", None)


def test_tell__taken_over_and_delivered__names_both_nodes_and_the_price():
    story = [REQUEST, LEASE, TAKEN, events.JobSettled(at(8), 7, 60, 40), DELIVERED]
    task = tell(state(JobStatus.DELIVERED), story, TIMES)
    assert (task.workers, task.worker) == (("first", "second"), "second")
    assert (task.price_wei, task.refund_wei) == (60, 40)
    assert (task.response_cid, task.response_tx) == ("answer", "0xtx8")
    assert (task.timing.started, task.timing.completed) == (1_003, 1_008)
    assert task.timing.total_time == 7.0


def test_tell__delivery_of_the_whole_escrow__settles_without_an_event():
    task = tell(state(JobStatus.DELIVERED), [REQUEST, LEASE, DELIVERED], TIMES)
    assert (task.price_wei, task.refund_wei) == (100, 0)


@pytest.mark.parametrize(
    ("status", "end", "expected"),
    [
        (
            JobStatus.FAILED,
            events.JobFailed(at(6), 7, "first", FailureCode.CONTENT_MISSING, 98),
            (TaskStatus.FAILED, 98, "content_missing"),
        ),
        (JobStatus.EXPIRED, events.JobExpired(at(6), 7, 100), (TaskStatus.EXPIRED, 100, None)),
        (
            JobStatus.CANCELLED,
            events.JobCancelled(at(6), 7, 100),
            (TaskStatus.CANCELLED, 100, None),
        ),
    ],
)
def test_tell__ended_without_an_answer__tells_the_refund(status, end, expected):
    task = tell(state(status), [REQUEST, LEASE, end], TIMES)
    assert (task.status, task.refund_wei, task.failure) == expected
    assert (task.price_wei, task.response_tx, task.timing.completed) == (None, None, 1_006)


def test_tell__without_its_request__is_refused():
    with pytest.raises(UnknownJob):
        tell(state(JobStatus.OPEN), [LEASE], TIMES)


def test_blocks_of_interest__are_those_of_the_events():
    assert blocks_of_interest([REQUEST, LEASE, LEASE]) == {1, 3}
