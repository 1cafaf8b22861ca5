"""What callers hand in as messages and tools: OpenAI's shape, or the library's own types."""

import pytest

from decentralized_vllm.protocol.errors import InvalidPrompt, UnknownJob
from decentralized_vllm.protocol.generation import Message, SamplingParameters
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from decentralized_vllm.requester.inputs import job_id_of, make_document, make_embedding_document
from decentralized_vllm.requester.tool_inputs import offered_tools

CALL = ToolCall("call_1", "f", '{"a":1}')
CALL_OF_OPENAI = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": '{"a":1}'},
    "index": 0,
}
TOOL = {"type": "function", "function": {"name": "f", "strict": True}}


def messages_of(*given):
    return make_document(given, SamplingParameters()).messages


@pytest.mark.parametrize("call", [CALL, CALL_OF_OPENAI])
@pytest.mark.parametrize("content", [{"content": None}, {"content": ""}, {}])
def test_make_document__assistant_that_called__is_understood(call, content):
    given = {"role": "assistant", "tool_calls": [call], **content}
    assert messages_of(given) == (Message("assistant", "", (CALL,)),)


def test_make_document__no_calls__are_left_out():
    given = {"role": "assistant", "content": "Hi", "tool_calls": None, "refusal": None}
    assert messages_of(given) == (Message("assistant", "Hi"),)


@pytest.mark.parametrize(
    "message",
    ["Hi", 1.0, {}, {"role": "user"}, {"content": "Hi"}, {"role": "user", "content": None}],
)
def test_make_document__no_message__says_what_one_has(message):
    with pytest.raises(InvalidPrompt, match="a message has a role and a content"):
        messages_of(message)


@pytest.mark.parametrize(
    "calls", [1, "f", {"id": "1"}, [1], [{"id": "1"}], [{**CALL_OF_OPENAI, "id": ""}]]
)
def test_make_document__calls_that_are_none__are_named(calls):
    with pytest.raises(InvalidPrompt, match="tool_calls: "):
        messages_of({"role": "assistant", "content": "", "tool_calls": calls})


def test_make_document__question_with_tools__offers_them():
    tools = Tools((Tool("f"),))
    document = make_document("Hi", SamplingParameters(), tools)
    assert (document.messages, document.tools) == ((Message("user", "Hi"),), tools)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, Tools((Tool("f"),))),
        ("auto", Tools((Tool("f"),))),
        ("required", Tools((Tool("f"),), must_call=True)),
        ({"type": "function", "function": {"name": "f"}}, Tools((Tool("f"),), named="f")),
        ("none", None),
    ],
)
def test_offered_tools__every_choice__is_what_is_meant(choice, expected):
    assert offered_tools([TOOL], choice, parallel_tool_calls=True) == expected


@pytest.mark.parametrize("tools", [None, [], ()])
def test_offered_tools__no_tools__are_none(tools):
    assert offered_tools(tools, "auto", parallel_tool_calls=True) is None


def test_make_embedding_document__one_text__is_one_input():
    assert make_embedding_document("a cat").inputs == ("a cat",)
    assert make_embedding_document(iter(["a", "b"])).inputs == ("a", "b")


@pytest.mark.parametrize(
    "number", [-1, 0, 2**256, 2**9999], ids=["negative", "zero", "too high", "huge"]
)
def test_job_id_of__number_that_no_job_has__is_an_unknown_job(number):
    with pytest.raises(UnknownJob):
        job_id_of(number)


@pytest.mark.parametrize("given", [1.5, None, b"1"])
def test_job_id_of__no_number__is_not_taken_for_one(given):
    with pytest.raises(TypeError):
        job_id_of(given)


def test_to_bytes__text_that_utf_8_can_not_carry__is_an_invalid_prompt():
    with pytest.raises(InvalidPrompt):
        make_document("\ud800", SamplingParameters()).to_bytes()
