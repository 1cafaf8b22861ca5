"""Prompts given as token ids: nothing but whole numbers that some model may know."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import Feature, Message, SamplingParameters
from decentralized_vllm.protocol.logprobs import MAX_TOKENS_WITH_LOGPROBS
from decentralized_vllm.protocol.prompts import (
    MAX_PROMPT_TOKEN_IDS,
    MAX_TOKEN_ID,
    PromptDocument,
    parse_prompt,
)
from decentralized_vllm.protocol.token_bounds import prompt_token_bound
from tests.support import vectors

DOCUMENTS = vectors.load("documents")

IDS = st.lists(st.integers(0, MAX_TOKEN_ID), min_size=1, max_size=50).map(tuple)
RATED = SamplingParameters(logprobs=2, prompt_logprobs=True)
PROMPTS = st.builds(
    PromptDocument, token_ids=IDS, parameters=st.sampled_from([SamplingParameters(), RATED])
)


@pytest.mark.parametrize("case", DOCUMENTS["token_prompts"], ids=lambda case: case["name"])
def test_tokens__vector__has_exactly_these_bytes_and_this_meaning(case):
    document = parse_prompt(case["canonical"].encode())
    assert document.to_bytes() == case["canonical"].encode()
    assert sorted(document.features) == case["features"]


@pytest.mark.parametrize("case", DOCUMENTS["refused_token_prompts"], ids=lambda case: case["name"])
def test_tokens__refused_vector__is_refused(case):
    with pytest.raises(InvalidPrompt):
        parse_prompt(case["text"].encode())


@given(PROMPTS)
def test_tokens__any_document__reads_back_equal(document):
    assert parse_prompt(document.to_bytes()) == document


@given(PROMPTS)
def test_tokens__of_any_document__are_counted_exactly(document):
    assert prompt_token_bound(document) == len(document.token_ids)


def test_tokens__document__is_a_request_that_asks_for_an_able_engine():
    request = PromptDocument(token_ids=(5, 6)).to_request("r")
    assert (request.token_ids, request.prompt, request.messages) == ((5, 6), None, None)
    assert request.features == {Feature.TOKEN_PROMPTS}
    assert replace(request, parameters=RATED).features == {
        Feature.TOKEN_PROMPTS,
        Feature.LOGPROBS,
        Feature.PROMPT_LOGPROBS,
    }


def test_tokens__as_many_as_there_may_be__find_room():
    of_a_large_vocabulary = PromptDocument(token_ids=(262_143,) * MAX_PROMPT_TOKEN_IDS)
    assert len(of_a_large_vocabulary.to_bytes()) <= MAX_PROMPT_BYTES


@pytest.mark.parametrize(
    "document",
    [
        PromptDocument(token_ids=()),
        PromptDocument(token_ids=(-1,)),
        PromptDocument(token_ids=(MAX_TOKEN_ID + 1,)),
        PromptDocument(token_ids=(1,) * (MAX_PROMPT_TOKEN_IDS + 1)),
        PromptDocument(token_ids=(1,), parameters=replace(RATED, logprobs=None)),
        PromptDocument(
            token_ids=(1,) * (MAX_TOKENS_WITH_LOGPROBS - RATED.max_tokens + 1), parameters=RATED
        ),
        PromptDocument(messages=(Message("user", "hi"),), parameters=RATED),
    ],
    ids=[
        "none",
        "negative",
        "too large",
        "too many",
        "nothing rated",
        "too many rated",
        "messages rated",
    ],
)
def test_to_bytes__document_nobody_would_read__is_refused(document):
    with pytest.raises(InvalidPrompt):
        document.to_bytes()
