"""What is kept of a task that ended."""

from dataclasses import replace

import pytest

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from dvllm_gateway.errors import Kind, PromptRefused, PromptTooLong, TaskFailed
from dvllm_gateway.services.task_endings import completed, ended_on_chain, why_failed
from dvllm_gateway.services.task_market import Delivery
from tests.support.gateway_in_memory.tasks import task
from tests.support.scripted_market import (
    STARTED_AT_MS,
    answer,
    delivered_job,
    failed_job,
    open_job,
)

DELIVERY = Delivery(answer(), Wei(400))


def test_completed__unwatched_when_it_began__by_the_nodes_word() -> None:
    record = task(created_at_ms=STARTED_AT_MS - 10)
    ended = completed(record, delivered_job(), DELIVERY, now_ms=STARTED_AT_MS + 10)
    assert (ended.submitted_at_ms, ended.started_at_ms) == (STARTED_AT_MS, STARTED_AT_MS)


@pytest.mark.parametrize(
    ("created_ms", "now_ms", "started_ms"),
    [
        (STARTED_AT_MS + 5, STARTED_AT_MS + 9, STARTED_AT_MS + 5),
        (STARTED_AT_MS - 9, STARTED_AT_MS - 5, STARTED_AT_MS - 5),
    ],
)
def test_completed__the_nodes_clock_can_not_be_right__within_the_tasks_life(
    created_ms: int, now_ms: int, started_ms: int
) -> None:
    ended = completed(task(created_at_ms=created_ms), delivered_job(), DELIVERY, now_ms=now_ms)
    assert ended.started_at_ms == started_ms


def test_completed__watched__as_it_was_seen() -> None:
    record = task(created_at_ms=1, submitted_at_ms=2, started_at_ms=3)
    ended = completed(record, delivered_job(), DELIVERY, now_ms=STARTED_AT_MS)
    assert (ended.submitted_at_ms, ended.started_at_ms) == (2, 3)


def test_ended__clock_was_put_back_meanwhile__not_before_what_was_seen() -> None:
    record = task(created_at_ms=9_000, submitted_at_ms=9_500, started_at_ms=10_000)
    for ended in (
        completed(record, delivered_job(), DELIVERY, now_ms=10),
        ended_on_chain(record, failed_job(FailureCode.CONTENT_MISSING), now_ms=10),
    ):
        assert ended.completed_at_ms == 10_000
        assert ended.total_time_s == 1.0


def test_completed__chain_took_more_than_was_reserved__costs_the_reservation() -> None:
    record = task(reserved_wei=Wei(300))
    assert completed(record, delivered_job(), DELIVERY, now_ms=STARTED_AT_MS).cost_wei == 300


@pytest.mark.parametrize(
    ("code", "kind", "error", "said"),
    [
        (FailureCode.CONTENT_TOO_LARGE, Kind.PROMPT_TOO_LONG, PromptTooLong, "context length"),
        (FailureCode.CONTENT_INVALID, Kind.PROMPT_REFUSED, PromptRefused, "a token id"),
        (FailureCode.CONTENT_MISSING, Kind.TASK_FAILED, TaskFailed, "not be found"),
    ],
)
def test_ended__a_node_found_fault_with_the_content__raises_what_it_found(
    code: FailureCode, kind: Kind, error: type[Exception], said: str
) -> None:
    record = ended_on_chain(task(), failed_job(code), now_ms=STARTED_AT_MS)
    assert record.failure is not None and record.failure.kind is kind
    raised = why_failed(record)
    assert type(raised) is error and said in raised.message
    assert raised.task_created


@pytest.mark.parametrize(
    ("n_leases", "handed_back", "said"),
    [
        (0, (), "no node took the job in time"),
        (1, (FailureCode.BUSY,), "was handed back as busy once"),
        (
            4,
            (FailureCode.BUSY, FailureCode.ENGINE_FAILED, FailureCode.BUSY),
            "was handed back as busy 2 times, handed back for a failed engine once, "
            "held without an answer once",
        ),
        (2, (), "was held without an answer 2 times"),
    ],
)
def test_ended__no_node_answered__tells_what_the_chain_told(
    n_leases: int, handed_back: tuple[FailureCode, ...], said: str
) -> None:
    job = replace(open_job(), status=JobStatus.EXPIRED, n_leases=n_leases, handed_back=handed_back)
    failure = ended_on_chain(task(), job, now_ms=STARTED_AT_MS).failure
    assert failure is not None and failure.kind is Kind.NO_CAPACITY
    assert said in failure.message
