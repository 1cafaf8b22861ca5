"""What is kept of a task that ended."""

import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.services.task_endings import completed
from dvllm_gateway.services.task_market import Delivery
from tests.support.gateway_core import task
from tests.support.scripted_market import STARTED_AT_MS, answer, delivered_job

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


def test_completed__chain_took_more_than_was_reserved__costs_the_reservation() -> None:
    record = task(reserved_wei=Wei(300))
    assert completed(record, delivered_job(), DELIVERY, now_ms=STARTED_AT_MS).cost_wei == 300
