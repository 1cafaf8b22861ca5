import dataclasses

import pytest

from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, JobId, TxHash
from dvllm_devnet.demo.report import (
    Delivery,
    Money,
    Refunded,
    StageSeconds,
    TakenOver,
    Transaction,
    make_report,
)
from dvllm_devnet.demo.story import tell_delivery, tell_refund, tell_takeover

NEURO = 10**18


def transaction(what, gas=50_000):
    return Transaction(what, "requester", TxHash("0x" + "ab" * 32), gas)


@pytest.fixture
def delivery():
    return Delivery(
        job_id=JobId(4),
        model_id="smollm2",
        prompt_cid="bafyprompt",
        response_cid="bafyresponse",
        text="One.\n\nTwo " + "long " * 40,
        engine="transformers",
        worker=Address("0xW1"),
        worker_name="worker-1",
        request=transaction("request", 111_000),
        response=transaction("delivery", 58_000),
        usage=Usage(31, 48),
        finish_reason="stop",
        money=Money(escrow_wei=NEURO, price_wei=NEURO // 4, fee_bps=200),
        seconds=StageSeconds(
            chain_wait=1, fetch=0.1, generate=4.2, publish=0.02, submit=1.1, total=6.6
        ),
    )


@pytest.fixture
def taken_over():
    return TakenOver(
        job_id=JobId(5),
        first_worker=Address("0xW1"),
        first_name="worker-1",
        second_worker=Address("0xW2"),
        second_name="worker-2",
        text="Hi",
        penalty_wei=NEURO,
        transactions=(transaction("takeover"),),
    )


@pytest.fixture
def refunded():
    return Refunded(JobId(6), NEURO, (transaction("expiry"),))


def test_report__has_the_documented_fields(delivery, taken_over, refunded):
    fields = make_report(delivery, taken_over, refunded).model_dump()
    assert list(fields) == [
        "job_id",
        "model_id",
        "engine",
        "prompt_cid",
        "response_cid",
        "text",
        "worker",
        "request_tx",
        "response_tx",
        "gas_request",
        "gas_response",
        "seconds",
        "takeover",
        "refund",
    ]
    assert list(fields["seconds"]) == [
        "chain_wait",
        "fetch",
        "generate",
        "publish",
        "submit",
        "total",
    ]
    assert fields["takeover"] == {"job_id": 5, "first_worker": "0xW1", "second_worker": "0xW2"}
    assert fields["refund"] == {"job_id": 6, "amount_wei": NEURO}


def test_money__of_a_delivery__adds_up(delivery):
    money = delivery.money
    assert money.back_wei + money.earned_wei + money.fee_wei == money.escrow_wei


def test_tell_delivery__says_ids_gas_tokens_and_money(delivery):
    story = tell_delivery(delivery)
    for part in [
        "Job 4",
        "bafyprompt",
        "bafyresponse",
        "0xW1",
        "111,000 gas",
        "31 read, 48 written",
        "generate 4.20",
        "paid 0.25 NEURO",
        "earns 0.245 NEURO",
    ]:
        assert part in story


def test_tell_delivery__long_answer__is_folded(delivery):
    assert max(map(len, tell_delivery(delivery).splitlines())) <= 112


def test_tell_delivery__empty_answer__still_tells(delivery):
    assert "answer" in tell_delivery(dataclasses.replace(delivery, text=""))


def test_tell_takeover__names_both_workers(taken_over):
    story = tell_takeover(taken_over)
    assert "worker-1, 0xW1" in story
    assert "worker-2, 0xW2" in story


def test_tell_refund__says_the_whole_amount(refunded):
    assert "1 NEURO" in tell_refund(refunded)
