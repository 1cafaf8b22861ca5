"""Tools and calls in documents: bounded, clear, and exactly what was meant."""

import json
from dataclasses import replace

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.canonical_json import encode
from decentralized_vllm.protocol.errors import InvalidPrompt, InvalidReceipt, InvalidResponse
from decentralized_vllm.protocol.generation import (
    Feature,
    FinishReason,
    Message,
    SamplingParameters,
)
from decentralized_vllm.protocol.json_schemas import MAX_SCHEMA_BYTES, schema_format
from decentralized_vllm.protocol.prompts import PromptDocument, chat_prompt, parse_prompt
from decentralized_vllm.protocol.responses import parse_response
from decentralized_vllm.protocol.token_bounds import prompt_token_bound
from decentralized_vllm.protocol.tool_documents import checked_tools, tool
from decentralized_vllm.protocol.tool_schemas import forced_schema
from decentralized_vllm.protocol.tools import MAX_CALLS, Tool, ToolCall, Tools, check_calls
from tests.support import vectors

DOCUMENTS = vectors.load("documents")
CASE = DOCUMENTS["responses"][0]
NODE = Account.from_key(CASE["private_key"])
HELLO = (Message("user", "hi"),)
CALL = ToolCall("call_1", "f", '{"a":1}')

NAMES = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
IDS = st.from_regex(r"\A[A-Za-z0-9_.:-]{1,128}\Z")
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
LEAVES = st.sampled_from([{"type": "string"}, {"enum": ["a", 1, None]}, {"$ref": "#/$defs/d"}, {}])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda named: {"type": "object", "properties": named},
            st.dictionaries(TEXTS, inner, max_size=3),
        )
        | st.builds(lambda each: {"type": "array", "items": each}, inner)
    ),
    max_leaves=6,
)
PARAMETERS = st.none() | st.builds(
    lambda named: {"type": "object", "properties": named, "$defs": {"d": {"type": "integer"}}},
    st.dictionaries(TEXTS, SCHEMAS, max_size=3),
)
LISTS = st.lists(
    st.builds(tool, NAMES, TEXTS, PARAMETERS), min_size=1, max_size=4, unique_by=lambda t: t.name
)


@st.composite
def tools_of_any_kind(draw):
    functions = draw(LISTS)
    named = draw(st.none() | st.sampled_from([each.name for each in functions]))
    must_call = named is None and draw(st.booleans())
    return checked_tools(
        functions, must_call=must_call, named=named, are_parallel=draw(st.booleans())
    )


CALLS = st.lists(st.builds(ToolCall, IDS, NAMES, TEXTS), min_size=1, max_size=3).map(tuple)
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS)
    | st.builds(Message, st.just("assistant"), TEXTS, CALLS)
    | st.builds(Message, st.just("tool"), TEXTS, st.just(()), IDS),
    min_size=1,
    max_size=4,
).map(tuple)


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


CHOSEN = Tools((Tool("f"), Tool("g")))


@pytest.mark.parametrize(
    ("tools", "names", "is_cut"),
    [
        (None, [], False),
        (CHOSEN, [], False),
        (CHOSEN, ["f", "g", "f"], False),
        (replace(CHOSEN, are_parallel=False), ["g"], False),
        (replace(CHOSEN, named="g"), ["g"], False),
        (replace(CHOSEN, named="g"), [], True),
        (replace(CHOSEN, must_call=True), [], True),
    ],
)
def test_check_calls__as_asked__pass(tools, names, is_cut):
    check_calls(tools, [ToolCall("1", name, "") for name in names], is_cut=is_cut)


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        (None, ["f"]),
        (CHOSEN, ["h"]),
        (CHOSEN, ["f"] * (MAX_CALLS + 1)),
        (replace(CHOSEN, are_parallel=False), ["f", "g"]),
        (replace(CHOSEN, named="g"), ["f"]),
        (replace(CHOSEN, named="g"), ["g", "g"]),
        (replace(CHOSEN, named="g"), []),
        (replace(CHOSEN, must_call=True), []),
    ],
)
def test_check_calls__lies__are_refused(tools, names):
    with pytest.raises(InvalidResponse, match="tool_calls"):
        check_calls(tools, [ToolCall("1", name, "") for name in names], is_cut=False)


def answer(*calls, finish_reason=FinishReason.TOOL_CALLS):
    document = parse_response(CASE["canonical"].encode())
    return replace(document, tool_calls=calls, finish_reason=finish_reason, signature=b"")


@given(CALLS, st.sampled_from([FinishReason.TOOL_CALLS, FinishReason.LENGTH]))
def test_response__calls__are_signed_and_read_back_equal(calls, finish_reason):
    signed = answer(*calls, finish_reason=finish_reason).sign(NODE)
    read = parse_response(signed.to_bytes())
    assert read == signed
    read.verify(read.request, CASE["node"])
    other = replace(read, tool_calls=(replace(calls[0], arguments="{} "), *calls[1:]))
    with pytest.raises(InvalidReceipt):
        other.verify(read.request, CASE["node"])


@pytest.mark.parametrize("case", DOCUMENTS["tool_responses"], ids=lambda case: case["name"])
def test_response__vector__reads_signs_and_writes_exactly_these_bytes(case):
    document = parse_response(case["canonical"].encode())
    assert document.receipt.body_digest == vectors.unhex(case["body_digest"])
    node = Account.from_key(case["private_key"])
    assert replace(document, signature=b"").sign(node).to_bytes() == case["canonical"].encode()


@pytest.mark.parametrize(
    ("calls", "finish_reason"),
    [
        ((CALL,), FinishReason.STOP),
        ((), FinishReason.TOOL_CALLS),
    ],
)
def test_response__end_and_calls_at_odds__is_refused(calls, finish_reason):
    with pytest.raises(InvalidResponse, match="ends by"):
        answer(*calls, finish_reason=finish_reason).sign(NODE)


@pytest.mark.parametrize(
    "call",
    [
        replace(CALL, id=""),
        replace(CALL, id="a b"),
        replace(CALL, id="x" * 129),
        replace(CALL, name="a.b"),
        replace(CALL, name="x" * 65),
        replace(CALL, name="f\n"),
    ],
)
def test_response__call_out_of_bounds__is_refused(call):
    with pytest.raises(InvalidResponse, match=r"tool_calls\.0"):
        answer(call).sign(NODE).to_bytes()


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [{"id": "1", "name": "f", "arguments": {}}],
        [{"id": "1", "name": "f"}],
        [{"id": "1", "name": "f", "arguments": "", "type": "function"}],
        [{"id": "1", "name": "f", "arguments": ""}] * (MAX_CALLS + 1),
    ],
)
def test_response__calls_of_another_form__are_refused(calls):
    fields = json.loads(answer(CALL).sign(NODE).to_bytes())
    with pytest.raises(InvalidResponse, match="tool_calls"):
        parse_response(encode({**fields, "tool_calls": calls}))
