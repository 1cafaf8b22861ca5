"""Ratings of a prompt in an answer: of each token but the first, bounded, and signed."""

import json
from dataclasses import replace

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.errors import InvalidReceipt, InvalidResponse
from decentralized_vllm.protocol.generation import Candidate, PromptTokenLogprob, Usage
from decentralized_vllm.protocol.logprobs import (
    MAX_TOKEN_CHARACTERS,
    MAX_TOKENS_WITH_LOGPROBS,
    MAX_TOP_LOGPROBS,
)
from decentralized_vllm.protocol.responses import parse_response
from tests.support import vectors

CASE = vectors.load("documents")["rated_responses"][0]
DATA = CASE["canonical"].encode()
NODE = Account.from_key(CASE["private_key"])
FIRST, RATED = PromptTokenLogprob("a", None), PromptTokenLogprob("b", -0.5)
TOP = (Candidate("c", -0.25), Candidate("b", -0.5))
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=128)
LOGPROBS = st.floats(-9999, 0, allow_nan=False).map(lambda each: each or 0.0)
CANDIDATES = st.lists(st.builds(Candidate, TEXTS, LOGPROBS), max_size=5).map(tuple)
FURTHER = st.lists(st.builds(PromptTokenLogprob, TEXTS, LOGPROBS, CANDIDATES), max_size=4)


def with_prompt(*tokens, n_read=None):
    usage = Usage(len(tokens) if n_read is None else n_read, 3)
    answer = replace(parse_response(DATA), prompt_logprobs=tokens, usage=usage, signature=b"")
    return answer.sign(NODE)


def test_rated_prompt__vector__reads_signs_and_writes_exactly_these_bytes():
    answer = parse_response(DATA)
    assert replace(answer, signature=b"").sign(NODE).to_bytes() == DATA
    assert answer.receipt.body_digest == vectors.unhex(CASE["body_digest"])
    answer.verify(answer.request, CASE["node"])


@given(TEXTS, FURTHER)
def test_rated_prompt__any__reads_back_equal_and_verifies(text, further):
    answer = with_prompt(PromptTokenLogprob(text, None), *further)
    read = parse_response(answer.to_bytes())
    assert read == answer
    read.verify(answer.request, CASE["node"])


def test_rated_prompt__changed_after_signing__is_refused():
    answer = with_prompt(FIRST, replace(RATED, top=TOP))
    for changed in (replace(RATED, logprob=-0.1, top=TOP), replace(RATED, top=TOP[:1]), RATED):
        with pytest.raises(InvalidReceipt):
            replace(answer, prompt_logprobs=(FIRST, changed)).verify(answer.request, CASE["node"])
    with pytest.raises(InvalidReceipt):
        replace(answer, prompt_logprobs=None).verify(answer.request, CASE["node"])


@pytest.mark.parametrize(
    ("tokens", "n_read"),
    [
        ((FIRST, RATED), 3),
        ((FIRST, RATED), 1),
        ((), 2),
        ((RATED, RATED), 2),
        ((FIRST, FIRST), 2),
        ((replace(FIRST, top=TOP), RATED), 2),
    ],
    ids=["fewer", "more", "none", "the first", "no other", "beside the first"],
)
def test_rated_prompt__not_each_token_but_the_first__is_refused(tokens, n_read):
    with pytest.raises(InvalidResponse):
        with_prompt(*tokens, n_read=n_read)


@pytest.mark.parametrize(
    "token",
    [
        replace(RATED, logprob=0.1),
        replace(RATED, logprob=-10_000.0),
        replace(RATED, text="x" * 129),
        replace(RATED, top=TOP * 3),
    ],
    ids=["more than sure", "less than impossible", "long", "many"],
)
def test_rated_prompt__out_of_bounds__is_refused(token):
    answer = with_prompt(FIRST, token)
    with pytest.raises(InvalidResponse):
        answer.to_bytes()


def test_rated_prompt__as_long_as_there_may_be__finds_room():
    long = "\n" * MAX_TOKEN_CHARACTERS  # each of two bytes in JSON
    widest = PromptTokenLogprob(long, -1.234567, (Candidate(long, -1.234567),) * MAX_TOP_LOGPROBS)
    n_output = len(parse_response(DATA).token_ids)
    many = (FIRST, *[widest] * (MAX_TOKENS_WITH_LOGPROBS - n_output - 1))
    assert len(parse_response(with_prompt(*many).to_bytes()).prompt_logprobs or ()) == len(many)
    with pytest.raises(InvalidResponse, match="rates more than"):
        with_prompt(*many, RATED)


@pytest.mark.parametrize("missing", ["text", "logprob", "top"])
def test_parse_response__rating_without_a_field__is_refused(missing):
    fields = json.loads(DATA)
    del fields["prompt_logprobs"][0][missing]
    with pytest.raises(InvalidResponse, match=r"prompt_logprobs\.0"):
        parse_response(canonical_json.encode(fields))
