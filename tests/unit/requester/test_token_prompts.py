"""Prompts that callers hand in as token ids: ints that some model may know, and nothing else."""

import array
import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import Feature, SamplingParameters
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.prompts import (
    MAX_PROMPT_TOKEN_IDS,
    MAX_TOKEN_ID,
    PromptDocument,
    chat_prompt,
    parse_prompt,
)
from decentralized_vllm.protocol.tools import Tool, Tools
from decentralized_vllm.requester.inputs import make_document
from decentralized_vllm.requester.submission import check_length

IDS = st.lists(st.integers(0, MAX_TOKEN_ID), min_size=1, max_size=50)
NO_ID = st.one_of(
    st.booleans(),
    st.integers(max_value=-1),
    st.integers(min_value=MAX_TOKEN_ID + 1),
    st.floats(),
    st.text(),
    st.none(),
    st.lists(st.integers(0, 9)),
)
TERMS = Terms(
    input_price_gwei=1,
    output_price_gwei=1,
    flat_fee_gwei=1,
    max_fee_gwei=10**6,
    lease_s=60,
    open_s=60,
    max_input_tokens=4,
    max_output_tokens=4,
)
MESSAGE = {"role": "user", "content": "Hi"}


def document_of(prompt, tools=None):
    return make_document(prompt, SamplingParameters(max_tokens=3), tools)


def refusal(prompt, tools=None):
    with pytest.raises(InvalidPrompt) as caught:
        document_of(prompt, tools)
    return caught.value.message


@given(IDS, st.sampled_from([list, tuple, iter, lambda ids: array.array("q", ids)]))
def test_make_document__ids_in_any_sequence__are_the_prompt_as_they_are(ids, given_as):
    document = document_of(given_as(ids))
    assert document == PromptDocument(
        token_ids=tuple(ids), parameters=SamplingParameters(max_tokens=3)
    )
    assert parse_prompt(document.to_bytes()) == document
    assert document.features == {Feature.TOKEN_PROMPTS}


@given(IDS, NO_ID, st.data())
def test_make_document__one_is_no_id__is_told_by_its_place(ids, wrong, data):
    index = data.draw(st.integers(1, len(ids)))
    assert f"prompt: the token id at index {index} is " in refusal([*ids[:index], wrong])


@pytest.mark.parametrize(
    ("first", "told"), [(True, "is no int, but a bool"), (-1, "0 to 2147483647"), (2**31, "0 to")]
)
def test_make_document__the_first_is_no_id__is_told_so(first, told):
    message = refusal([first, 2])
    assert message.startswith("prompt: the token id at index 0 ") and told in message


def test_make_document__names_of_ids__are_plain_numbers_in_the_document():
    names = enum.IntEnum("names", {"END": 7})
    assert [type(each) for each in document_of([names.END]).token_ids] == [int]


def test_make_document__as_many_as_a_document_holds__and_no_more():
    longest = [MAX_TOKEN_ID // 1000] * MAX_PROMPT_TOKEN_IDS
    assert len(document_of(longest).token_ids) == MAX_PROMPT_TOKEN_IDS
    assert refusal([*longest, 1]) == "prompt: 131073 token ids, more than 131072"


@pytest.mark.parametrize("prompt", [b"123", bytearray(b"1"), {1, 2}, {1: 2}, MESSAGE, None, 5, 1.5])
def test_make_document__holds_no_list__says_what_a_prompt_is(prompt):
    assert refusal(prompt) == ("prompt: must be text, a list of messages, or a list of token ids")


@pytest.mark.parametrize("prompt", ["", " \n", [], (), iter([])])
def test_make_document__nothing_in_it__is_empty(prompt):
    assert refusal(prompt) == "the prompt is empty"


@pytest.mark.parametrize("prompt", [[MESSAGE, 1], ["1", 2], [1.0], [[1, 2], [3]]])
def test_make_document__ids_behind_something_else__are_no_messages(prompt):
    assert refusal(prompt).endswith("and a token id is an int")


def test_make_document__ids_with_tools__names_these():
    assert refusal([1], Tools((Tool("f"),))).startswith("tools: ")


def test_check_length__ids__as_many_as_nodes_read_and_no_more():
    check_length(document_of([1] * 4), TERMS)
    with pytest.raises(InvalidPrompt, match="prompt: 5 token ids are more than the 4 "):
        check_length(document_of([1] * 5), TERMS)


def test_check_length__text__is_for_nodes_to_count():
    check_length(chat_prompt("a " * 1000, SamplingParameters()), TERMS)
