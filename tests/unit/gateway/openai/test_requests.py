import json

import pytest

from dvllm_gateway.dialects.openai.requests import ChatBody
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
