"""Tools and calls in documents: bounded, clear, and exactly what was meant."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.canonical_json import encode
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import (
    Feature,
    Message,
    SamplingParameters,
)
from decentralized_vllm.protocol.json_schemas import MAX_SCHEMA_BYTES, schema_format
from decentralized_vllm.protocol.prompts import PromptDocument, chat_prompt, parse_prompt
from decentralized_vllm.protocol.token_bounds import prompt_token_bound
from decentralized_vllm.protocol.tool_documents import checked_tools, tool
from decentralized_vllm.protocol.tool_schemas import forced_schema
from decentralized_vllm.protocol.tools import MAX_CALLS, Tool, ToolCall, Tools
from tests.support import vectors
from tests.support.tool_strategies import MESSAGES, tools_of_any_kind

DOCUMENTS = vectors.load("documents")
HELLO = (Message("user", "hi"),)
CALL = ToolCall("call_1", "f", '{"a":1}')


def written(**fields):
    """A prompt document as a stranger writes it."""
    return encode(
        {
            "version": 1,
            "type": "chat",
            "messages": [{"role": "user", "content": "hi"}],
            **fields,
        }
    )


@given(MESSAGES, st.none() | tools_of_any_kind())
def test_prompt__any_tools_and_calls__read_back_equal(messages, tools):
    document = PromptDocument(messages=messages, tools=tools)
    assert parse_prompt(document.to_bytes()) == document
    assert document.to_request("r").features == document.features


@given(tools_of_any_kind())
def test_forced__any_tools__is_a_schema_within_the_bounds(tools):
    if tools.are_forced:
        schema_format(forced_schema(tools))


def test_prompt__without_tools__says_nothing_of_them():
    data = chat_prompt("hi", SamplingParameters()).to_bytes()
    assert b"tool" not in data


@pytest.mark.parametrize("case", DOCUMENTS["tool_prompts"], ids=lambda case: case["name"])
def test_prompt__vector__has_exactly_these_bytes_and_this_meaning(case):
    document = parse_prompt(case["canonical"].encode())
    assert document.to_bytes() == case["canonical"].encode()
    assert sorted(document.features) == case["features"]


@pytest.mark.parametrize("case", DOCUMENTS["refused_tool_prompts"], ids=lambda case: case["name"])
def test_prompt__refused_vector__is_refused(case):
    with pytest.raises(InvalidPrompt):
        parse_prompt(case["text"].encode())


@pytest.mark.parametrize(
    ("tools", "features"),
    [
        (Tools((Tool("f"),)), {Feature.TOOLS}),
        (Tools((Tool("f"),), must_call=True), {Feature.TOOL_CHOICE}),
        (Tools((Tool("f"),), named="f"), {Feature.TOOL_CHOICE}),
    ],
)
def test_features__of_tools__are_what_an_engine_must_do(tools, features):
    assert PromptDocument(messages=HELLO, tools=tools).features == features
    asking = (*HELLO, Message("assistant", "", (CALL,)), Message("tool", "1", (), "call_1"))
    both = PromptDocument(messages=asking, tools=tools)
    assert both.features == {*features, Feature.TOOL_MESSAGES}


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "array"},
        {"type": ["object"]},
        {"x": "y" * MAX_SCHEMA_BYTES},
        {"x": float("nan")},
    ],
    ids=["no object", "a list of types", "too large", "no JSON"],
)
def test_tool__schema_out_of_bounds__is_refused(parameters):
    with pytest.raises(InvalidPrompt, match=r"^tools\.f\.parameters"):
        tool("f", "", parameters)


def test_tools__schemas_that_are_too_large_together__are_refused():
    large = {"title": "x" * 16_000}
    with pytest.raises(InvalidPrompt, match=r"^tools: .* of schemas"):
        checked_tools([tool(f"f{n}", "", large) for n in range(9)])


def test_tool__no_json__is_refused():
    with pytest.raises(InvalidPrompt, match=r"^tools\.f\.parameters: no JSON"):
        tool("f", "", {"x": object()})


def test_tool__nested_too_deep__is_refused():
    schema = {"type": "object"}
    for _ in range(40):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(InvalidPrompt):
        tool("f", "", schema)


@pytest.mark.parametrize("forced", [{"named": "f"}, {"must_call": True}])
@pytest.mark.parametrize(
    "parameters",
    [
        {"properties": {"a": {"pattern": "(a+)+"}}},
        {"properties": {"a": {"$ref": "https://example.com/schema"}}},
        {"$ref": "#"},
        {"properties": {"a": {"type": "array", "maxItems": 10_000}}},
    ],
)
def test_forced__what_no_grammar_should_be__is_refused(parameters, forced):
    each = tool("f", "", parameters)
    assert checked_tools([each]) == Tools((each,))
    with pytest.raises(InvalidPrompt, match="can not be forced"):
        checked_tools([each], **forced)


def test_forced__definitions_of_several_tools__do_not_meet():
    def own(kind):
        return {
            "properties": {"a": {"$ref": "#/$defs/d"}, "b": {"$ref": "#/definitions/e"}},
            "$defs": {"d": {"type": kind}},
            "definitions": {"e": {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]}},
        }

    tools = checked_tools(
        [tool("f", "", own("string")), tool("g", "", own("integer"))], must_call=True
    )
    defined = forced_schema(tools)["$defs"]
    assert set(defined) == {"f", "g", "f.d", "g.d", "f.e", "g.e"}
    assert (defined["f.d"], defined["g.d"]) == ({"type": "string"}, {"type": "integer"})
    assert defined["g"]["properties"] == {
        "a": {"$ref": "#/$defs/g.d"},
        "b": {"$ref": "#/$defs/g.e"},
    }
    assert defined["f.e"]["anyOf"][0] == {"$ref": "#/$defs/f.d"}


def test_forced__recursive_tool__refers_to_itself_where_it_now_is():
    tree = {"properties": {"left": {"$ref": "#"}}}
    schema = forced_schema(checked_tools([tool("f", "", tree)], must_call=True))
    assert schema["$defs"]["f"]["properties"]["left"] == {"$ref": "#/$defs/f"}


def test_forced__number_of_calls__is_bounded():
    tools = checked_tools([Tool("f")], must_call=True)
    assert forced_schema(tools)["maxItems"] == MAX_CALLS
    assert forced_schema(replace(tools, are_parallel=False))["maxItems"] == 1


@given(MESSAGES, tools_of_any_kind())
def test_token_bound__tools_and_calls__are_counted_with_room(messages, tools):
    plain = PromptDocument(messages=messages)
    with_tools = replace(plain, tools=tools)
    n_bytes = len(with_tools.to_bytes()) - len(plain.to_bytes())
    assert prompt_token_bound(with_tools) > prompt_token_bound(plain) + n_bytes
