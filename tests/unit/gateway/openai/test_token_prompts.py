"""Completions of tokens, and with an echo: what is asked of the network for them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.prompts import MAX_TOKEN_ID, parse_prompt
from dvllm_gateway.dialects.openai.prompts import completion_requests
from dvllm_gateway.dialects.openai.requests import CompletionBody
from dvllm_gateway.errors import InvalidRequest, Kind, PromptTooLong
from dvllm_gateway.http.validation import body_of
from tests.unit.gateway.openai.test_prompts import MODEL, TERMS

TOKENS = st.lists(st.integers(0, MAX_TOKEN_ID), min_size=1, max_size=20)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
FORMS = (
    TEXTS
    | TOKENS
    | st.lists(TEXTS, min_size=1, max_size=8)
    | st.lists(TOKENS, min_size=1, max_size=8)
)


def body(prompt, **fields):
    read = body_of(CompletionBody, json.dumps({"model": "m", "prompt": prompt, **fields}).encode())
    assert isinstance(read, CompletionBody)
    return read


def completions(prompt, **fields):
    return completion_requests(body(prompt, **fields), MODEL)


def listed(prompt):
    return prompt if isinstance(prompt, list) and not isinstance(prompt[0], int) else [prompt]


@given(FORMS, st.integers(1, 3))
def test_prompt__any_form__is_a_document_for_each_prompt_and_choice(prompt, n):
    requests = completions(prompt, n=n)
    asked = [r.document.prompt or [*(r.document.token_ids or ())] for r in requests]
    assert asked == [each for each in listed(prompt) for _ in range(n)]
    for choice, request in enumerate(requests):
        assert parse_prompt(request.document.to_bytes()) == request.document
        assert body(prompt, n=n).prompt_of(choice) == asked[choice]


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ([[]], "prompt.0: .* at least 1"),
        ([1, "a"], "prompt.0.1: .* integer"),
        ([1, True], "prompt.0.1: .* integer"),
        ([1, 1.5], "prompt.0.1: "),
        ([-1], "prompt.0.0: "),
        ([MAX_TOKEN_ID + 1], "prompt.0.0: "),
        ([1, [2]], "prompt.0.1: "),
        ([[1], "a"], "prompt: .* not both"),
        (["a", [1]], "prompt: .* not both"),
        ([[1]] * 9, "prompt: .* at most 8"),
        ([[[1]]], "prompt.0.0: "),
        (5, "prompt: .* string or list"),
    ],
)
def test_prompt__none_of_its_forms__is_told_what_is_wrong(prompt, complaint):
    with pytest.raises(InvalidRequest, match=complaint) as refusal:
        body(prompt)
    assert refusal.value.field is not None


def test_prompt__whole_numbers__are_tokens_as_json_schema_has_it():
    assert body([1.0, 2]).prompt == [[1, 2]]


def test_tokens__shown__are_the_first_of_them():
    assert completions([5, 6])[0].shown_prompt == "token ids: 5, 6"
    (long,) = completions([7] * 500)
    assert long.shown_prompt.startswith("token ids: 7, 7, ")
    assert long.shown_prompt.endswith(", 7, … (500 in all)")
    assert len(long.shown_prompt) < 500


def test_tokens__more_than_the_model_reads__are_refused_before_they_cost():
    assert completions([1] * TERMS.max_input_tokens)
    with pytest.raises(
        PromptTooLong, match="longer than the model's context length, 1001"
    ) as refusal:
        completions([[1], [1] * (TERMS.max_input_tokens + 1)])
    assert (refusal.value.field, refusal.value.kind) == ("prompt", Kind.PROMPT_TOO_LONG)


@pytest.mark.parametrize(
    ("prompt", "fields", "logprobs", "rates_prompt"),
    [
        ("a", {}, None, False),
        ("a", {"echo": True}, None, False),
        ("a", {"logprobs": 2}, 2, False),
        ("a", {"echo": True, "logprobs": 2}, 2, True),
        ("a", {"echo": False, "logprobs": 0}, 0, False),
        ([1], {}, None, False),
        ([1], {"logprobs": 2}, 2, False),
        ([1], {"echo": True}, 0, True),
        ([1], {"echo": True, "logprobs": 2}, 2, True),
    ],
)
def test_echo__asks_for_ratings_where_only_they_tell_it(prompt, fields, logprobs, rates_prompt):
    (request,) = completions(prompt, **fields)
    parameters = request.document.parameters
    assert (parameters.logprobs, parameters.prompt_logprobs) == (logprobs, rates_prompt)
    assert (Feature.PROMPT_LOGPROBS in request.document.features) == rates_prompt
    assert (Feature.TOKEN_PROMPTS in request.document.features) == isinstance(prompt, list)


def test_max_tokens__none__are_of_an_echo_alone():
    (request,) = completions("a", echo=True, logprobs=1, max_tokens=0)
    assert request.document.parameters.max_tokens == 1
    for echo in (None, False):
        with pytest.raises(InvalidRequest) as refusal:
            completions("a", echo=echo, max_tokens=0)
        assert refusal.value.field == "max_tokens"
