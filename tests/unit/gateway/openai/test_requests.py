import json

import pytest
from pydantic import ValidationError

from dvllm_gateway.dialects.openai.requests import ChatBody, CompletionBody, EmbeddingBody
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.http.validation import body_of

HELLO = {"role": "user", "content": "Hello"}
STRAY = "sk-that-strayed-here"


def read(**fields):
    body = {"model": "m", "messages": [HELLO], **fields}
    return body_of(ChatBody, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("fields", "field", "offered"),
    [
        ({"messages": [{**HELLO, "role": STRAY}]}, "messages.0.role", "'assistant'"),
        ({"response_format": {"type": STRAY}}, "response_format.type", "'json_schema'"),
        ({"tool_choice": STRAY}, "tool_choice", "'required'"),
    ],
)
def test_body__with_a_word_that_is_none_of_those__names_field_and_words_and_not_the_value(
    fields, field, offered
):
    with pytest.raises(InvalidRequest) as refused:
        read(**fields)
    assert refused.value.field == field
    assert refused.value.message.startswith(f"{field}: ")
    assert offered in refused.value.message
    assert STRAY not in refused.value.message


@pytest.mark.parametrize("options", [None, {}, {"include_usage": None}, {"include_usage": False}])
def test_stream_options__that_ask_for_nothing__are_as_good_as_left_out(options):
    assert not read(stream=True, stream_options=options).wants_usage


def test_stream_options__that_ask_for_the_usage__get_it():
    assert read(stream=True, stream_options={"include_usage": True}).wants_usage


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (ChatBody, {"messages": [{"role": "user", "content": [1] * 9}]}),
        (ChatBody, {"messages": [{}] * 9}),
        (ChatBody, {"messages": [{"role": "assistant", "tool_calls": [{}] * 9}]}),
        (ChatBody, {"messages": [HELLO], "tools": [{}] * 9}),
        (ChatBody, {"messages": [HELLO], "stop": [""] * 9}),
        (CompletionBody, {"prompt": [-1] * 9}),
        (CompletionBody, {"prompt": [[-1] * 9] * 7}),
        (EmbeddingBody, {"input": [None] * 9}),
    ],
)
def test_body__with_many_wrong_items__is_refused_at_the_first(kind, fields):
    """A list of a million faults took seconds, in which nobody else was served."""
    with pytest.raises(InvalidRequest) as refused:
        body_of(kind, json.dumps({"model": "m", **fields}).encode())
    found = refused.value.__context__
    assert isinstance(found, ValidationError)
    assert not any(1 in error["loc"] for error in found.errors())
