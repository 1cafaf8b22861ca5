"""Vectors in an answer: exactly those that went in, and nothing else passes for vectors."""

import base64
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.embeddings import (
    MAX_DIMENSIONS,
    MAX_INPUTS,
    read_vectors,
    vectors_text,
)
from decentralized_vllm.protocol.errors import InvalidPrompt, InvalidResponse
from decentralized_vllm.protocol.generation import Feature
from decentralized_vllm.protocol.prompts import embedding_prompt, parse_prompt
from decentralized_vllm.protocol.token_bounds import prompt_token_bound

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def vectors(draw):
    n_dimensions = draw(st.integers(1, 8))
    return draw(st.lists(st.tuples(*[FLOATS] * n_dimensions), min_size=1, max_size=5))


@given(vectors())
def test_vectors__written_and_read__are_the_same(given_vectors):
    assert read_vectors(vectors_text(given_vectors), len(given_vectors)) == given_vectors


def packed(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


@pytest.mark.parametrize(
    "embeddings",
    [
        [],
        [packed(1.0), packed(2.0)],
        [packed()],
        [packed(math.nan)],
        [packed(math.inf)],
        ["no base64!"],
        ["AAA="],
        [7],
        [None],
        packed(1.0),
        None,
        [packed(*[0.0] * (MAX_DIMENSIONS + 1))],
    ],
)
def test_read__no_vector_of_one_input__refused(embeddings):
    with pytest.raises(InvalidResponse):
        read_vectors(json.dumps({"embeddings": embeddings}), 1)


@pytest.mark.parametrize("text", ["", "[]", "nothing", '{"embeddings":{}}', "\ud800", "[" * 100])
def test_read__no_such_object__refused(text):
    with pytest.raises(InvalidResponse):
        read_vectors(text, 1)


@pytest.mark.parametrize("each", ["[]", "{}", '{"a":0}'])
def test_read__lists_in_place_of_vectors__are_not_even_read(each):
    text = '{"embeddings":[' + ",".join([each] * 1000) + "]}"
    with pytest.raises(InvalidResponse, match="arrays and objects"):
        read_vectors(text, 1000)


def test_read__of_several_lengths__refused():
    with pytest.raises(InvalidResponse, match="lengths"):
        read_vectors(json.dumps({"embeddings": [packed(1.0), packed(1.0, 2.0)]}), 2)


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=5))
def test_prompt__written_and_read__is_the_same(inputs):
    document = embedding_prompt(inputs)
    assert parse_prompt(document.to_bytes()) == document
    assert document.features == {Feature.EMBEDDINGS}
    assert prompt_token_bound(document) >= sum(len(each.encode()) for each in inputs)


@pytest.mark.parametrize(
    "inputs",
    [[], [""], ["a"] * (MAX_INPUTS + 1), ["x" * (1 << 20)]],
    ids=["none", "empty", "many", "long"],
)
def test_prompt__none_too_many_or_too_long__refused(inputs):
    with pytest.raises(InvalidPrompt):
        embedding_prompt(inputs).to_bytes()


def test_prompt__with_parameters__refused():
    with pytest.raises(InvalidPrompt, match="parameters"):
        parse_prompt(b'{"version":1,"type":"embedding","input":["a"],"parameters":{}}')
