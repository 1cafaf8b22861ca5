"""Response documents: bound to one job, one node and every byte of the answer."""

import json
from dataclasses import replace

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidReceipt, InvalidResponse
from decentralized_vllm.protocol.generation import Candidate, TokenLogprob, Usage
from decentralized_vllm.protocol.logprobs import candidate
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import parse_response
from tests.support import vectors

CASE = vectors.load("documents")["responses"][0]
DATA = CASE["canonical"].encode()
NODE = Account.from_key(CASE["private_key"])
RATED = TokenLogprob("a", -0.5, (Candidate("b", -0.25), Candidate("a", -0.5)))
OTHER = Account.from_key("0x" + "22" * 32)


@pytest.fixture
def document():
    return parse_response(DATA)


def test_response__vector__reads_signs_and_writes_exactly_these_bytes(document):
    unsigned = replace(document, signature=b"")
    assert unsigned.sign(NODE).to_bytes() == DATA
    assert document.receipt.body_digest == vectors.unhex(CASE["body_digest"])


def test_verify__as_the_chain_tells_it__passes(document):
    document.verify(document.request, CASE["node"])


def other_requests(request):
    deployment = request.deployment
    yield replace(request, job_id=2)
    yield replace(request, request_digest=bytes(32))
    yield replace(request, prompt_cid=request.model_cid)
    yield replace(request, model_id="another")
    yield replace(request, model_cid=request.prompt_cid)
    yield replace(request, deployment=Deployment(1, deployment.coordinator))
    yield replace(request, deployment=Deployment(deployment.chain_id, NODE.address))


@pytest.mark.parametrize("request_", list(other_requests(parse_response(DATA).request)))
def test_verify__answer_to_another_request__is_refused(document, request_):
    with pytest.raises(InvalidResponse):
        document.verify(request_, CASE["node"])


@pytest.mark.parametrize(
    "change",
    [
        {"text": "something else"},
        {"token_ids": (1, 2, 3)},
        {"seed": 1},
        {"parts": {}},
        {"usage": Usage(10, 3)},
        {"signature": bytes(65)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_verify__one_field_changed_after_signing__is_refused(document, change):
    with pytest.raises(InvalidReceipt):
        replace(document, **change).verify(document.request, CASE["node"])


def test_verify__answer_of_another_node__is_refused(document):
    forged = replace(document, node=OTHER.address, signature=b"").sign(OTHER)
    with pytest.raises(InvalidReceipt, match="the job was"):
        forged.verify(document.request, CASE["node"])


def test_sign__by_another_key__is_refused(document):
    with pytest.raises(InvalidResponse, match="can not sign"):
        document.sign(OTHER)


def test_sign__billing_tokens_it_does_not_show__is_refused(document):
    with pytest.raises(InvalidResponse, match="bills 4 tokens and shows 3"):
        replace(document, usage=Usage(9, 4)).sign(NODE)


def test_to_bytes__over_the_limit__is_refused(document):
    huge = replace(document, text="x" * MAX_RESPONSE_BYTES).sign(NODE)
    with pytest.raises(InvalidResponse, match="more than"):
        huge.to_bytes()


def test_to_bytes__unsigned__is_refused(document):
    with pytest.raises(InvalidResponse, match=r"receipt\.signature"):
        replace(document, signature=b"").to_bytes()


def broken_fields():
    yield from (("version", 2), ("version", True), ("text", None), ("token_ids", [-1]))
    yield from (("finish_reason", "error"), ("extra", 1), ("node", "0x12"), ("model_cid", ""))
    yield from (("prompt_cid", "../../etc"), ("parts", {str(n): "Qm" for n in range(65)}))


@pytest.mark.parametrize(("name", "value"), list(broken_fields()))
def test_parse_response__broken_field__is_named(name, value):
    fields = {**json.loads(DATA), name: value}
    with pytest.raises(InvalidResponse, match=name):
        parse_response(canonical_json.encode(fields))


@pytest.mark.parametrize("name", sorted(json.loads(DATA)))
def test_parse_response__missing_field__is_refused(name):
    fields = json.loads(DATA)
    del fields[name]
    with pytest.raises(InvalidResponse):
        parse_response(canonical_json.encode(fields))


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_response__any_byte_changed__never_verifies(place, flip):
    honest = parse_response(DATA)
    data = bytearray(DATA)
    data[place] ^= flip
    with pytest.raises(InvalidDocument):
        parse_response(bytes(data)).verify(honest.request, honest.node)


@given(st.binary(max_size=100))
def test_parse_response__any_bytes__are_refused(data):
    with pytest.raises(InvalidResponse):
        parse_response(data)


def rated(document, *tokens):
    return replace(document, logprobs=tokens, signature=b"").sign(NODE)


def test_logprobs__of_each_token__are_told_and_signed(document):
    answer = rated(document, *[RATED] * len(document.token_ids))
    data = answer.to_bytes()
    assert b'{"logprob":-0.5,"text":"a","top":[{"logprob":-0.25,"text":"b"}' in data
    read = parse_response(data)
    assert read == answer
    read.verify(document.request, CASE["node"])
    louder = replace(read, logprobs=tuple(replace(RATED, logprob=-0.1) for _ in read.logprobs))
    with pytest.raises(InvalidReceipt):
        louder.verify(document.request, CASE["node"])


def test_logprobs__not_one_for_each_token__are_refused(document):
    with pytest.raises(InvalidResponse):
        rated(document, RATED)


@pytest.mark.parametrize(
    "token",
    [
        replace(RATED, logprob=0.1),
        replace(RATED, logprob=-10_000.0),
        replace(RATED, text="x" * 129),
        replace(RATED, top=(Candidate("b", -1.0),) * 6),
    ],
)
def test_logprobs__out_of_bounds__are_refused(document, token):
    answer = rated(document, *[token] * len(document.token_ids))
    with pytest.raises(InvalidResponse):
        answer.to_bytes()


@pytest.mark.parametrize(
    ("logprob", "told"),
    [(-float("inf"), -9999.0), (1e-9, 0.0), (-1e-9, 0.0), (-1.23456789, -1.234568)],
)
def test_candidate__any_number__is_told_within_bounds(logprob, told):
    assert candidate("x" * 200, logprob) == Candidate("x" * 128, told)
    assert str(candidate("x", logprob).logprob) == str(told)
