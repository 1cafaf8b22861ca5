import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from decentralized_vllm.protocol.generation import Feature, Message, ResponseFormat
from decentralized_vllm.protocol.ids import Cid, ModelId
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.prompts import parse_prompt
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from dvllm_gateway.dialects.openai.prompts import chat_requests, completion_requests
from dvllm_gateway.dialects.openai.requests import ChatBody, CompletionBody, EmbeddingBody
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.http.validation import body_of
from dvllm_gateway.services.network import Model

TERMS = Terms(1, 1, 0, 100, 60, 60, 1000, 200)
MODEL = Model(ModelId("m"), "M", "", Cid("bafk"), True, 0, TERMS)
HELLO = [{"role": "user", "content": "Hello"}]


def json_schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}


def function(name, **fields):
    return {"type": "function", "function": {"name": name, **fields}}


CALL = {"id": "call_1", **function("f", arguments="{}")}


def chat(**fields):
    body = ChatBody.model_validate({"model": "m", "messages": HELLO, **fields})
    return chat_requests(body, MODEL, default_max_tokens=1024)


def completions(prompt, **fields):
    body = CompletionBody.model_validate({"model": "m", "prompt": prompt, **fields})
    return completion_requests(body, MODEL)


def test_chat__bare__asks_for_no_more_than_the_model_sells():
    (request,) = chat()
    assert request.document.parameters.max_tokens == 200
    assert request.shown_prompt == "Hello"
    assert request.document.messages[0].role == "user"


def test_chat__stated_tokens__go_on_as_they_are():
    """Too many are refused by the task itself, never cut in silence."""
    assert chat(max_tokens=5000)[0].document.parameters.max_tokens == 5000
    assert chat(max_completion_tokens=200)[0].document.parameters.max_tokens == 200


def test_chat__too_many_tokens__are_refused_by_the_name_they_came_with():
    with pytest.raises(InvalidRequest, match="201 is more than the 200") as refusal:
        chat(max_completion_tokens=201, max_tokens=5)
    assert refusal.value.field == "max_completion_tokens"


def test_chat__nulls__are_as_good_as_left_out():
    nulls = dict.fromkeys(("temperature", "top_p", "n", "stop", "seed", "stream", "max_tokens"))
    assert chat(**nulls) == chat()


def test_chat__parts_and_developer__become_text_and_system():
    parts = [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief"}]
    (request,) = chat(messages=[{"role": "developer", "content": parts}, *HELLO])
    assert [(m.role, m.content) for m in request.document.messages] == [
        ("system", "Be brief"),
        ("user", "Hello"),
    ]


def test_chat__seeded_choices__differ_and_can_be_told_again():
    seeds = [request.document.parameters.seed for request in chat(n=3, seed=10)]
    assert seeds == [10, 11, 12]
    assert [r.document.parameters.seed for r in chat(n=2)] == [None, None]


def test_chat__choices_of_the_largest_seed__have_seeds_too():
    seeds = [request.document.parameters.seed for request in chat(n=2, seed=2**53 - 1)]
    assert seeds == [2**53 - 1, 0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{"name": "f"}]),
        ("function_call", {"name": "f"}),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("top_logprobs", 2),
        ("response_format", json_schema({"pattern": "(a+)+"})),
        ("response_format", json_schema({"$ref": "#"})),
    ],
)
def test_chat__what_changes_the_form_and_no_engine_does__is_refused(field, value):
    with pytest.raises(InvalidRequest) as refusal:
        chat(**{field: value})
    assert refusal.value.field == field


@pytest.mark.parametrize(
    "fields",
    [
        {"logprobs": False},
        {"logprobs": False, "top_logprobs": 0},
        {"tools": []},
        {"tools": [], "tool_choice": "none"},
        {"tool_choice": "auto"},
        {"parallel_tool_calls": False},
        {"functions": [], "function_call": "auto"},
        {"response_format": {"type": "text"}},
        {"presence_penalty": 0, "frequency_penalty": 0.0},
        {"user": "u"},
    ],
)
def test_chat__what_changes_nothing__is_accepted(fields):
    assert chat(**fields) == chat()


@pytest.mark.parametrize(
    ("fields", "parameters"),
    [
        ({"logprobs": True}, {"logprobs": 0}),
        ({"logprobs": True, "top_logprobs": 5}, {"logprobs": 5}),
        (
            {"presence_penalty": 1, "frequency_penalty": -0.5},
            {"presence_penalty": 1.0, "frequency_penalty": -0.5},
        ),
        ({"response_format": {"type": "json_object"}}, {"response_format": ResponseFormat()}),
        (
            {"response_format": json_schema({"type": "string"})},
            {"response_format": ResponseFormat('{"type":"string"}')},
        ),
    ],
)
def test_chat__what_some_engines_do__goes_into_the_prompt(fields, parameters):
    (plain,), (request,) = chat(), chat(**fields)
    assert request.document.parameters == replace(plain.document.parameters, **parameters)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "function", "name": "f", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "tool", "content": None, "tool_call_id": "call_1"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "id": "a b"}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [CALL] * 65}]},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"tools": [{"type": "function"}]},
        {"tools": [function("with space")]},
        {"tools": [function("")]},
        {"tools": [function("x" * 65)]},
        {"tools": [function(f"f{n}") for n in range(129)]},
        {"tools": [function("f")], "tool_choice": "f"},
        {"tools": [function("f")], "tool_choice": {"type": "function"}},
        {"tools": [function("f")], "parallel_tool_calls": "no"},
        {"n": 0},
        {"n": 99},
        {"temperature": 2.1},
        {"temperature": "1"},
        {"stream": "true"},
        {"max_tokens": 1.5},
        {"seed": -1},
        {"stop": [""]},
        {"model": ""},
        {"presence_penalty": 2.5},
        {"frequency_penalty": "1"},
        {"logprobs": 1},
        {"logprobs": True, "top_logprobs": 6},
        {"response_format": {"type": "grammar"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
    ],
)
def test_chat__bad_values__are_refused(fields):
    with pytest.raises(ValidationError):
        chat(**fields)


def test_completions__several_prompts__each_with_its_choices_in_order():
    requests = completions(["a", "b"], n=2)
    assert [request.document.prompt for request in requests] == ["a", "a", "b", "b"]
    assert {request.document.parameters.max_tokens for request in requests} == {16}


@pytest.mark.parametrize("prompt", ["", ["a", ""]])
def test_completions__nothing__is_refused(prompt):
    with pytest.raises(InvalidRequest) as refusal:
        completions(prompt)
    assert refusal.value.field == "prompt"


def test_completions__logprobs__go_into_the_prompt():
    assert completions("a", logprobs=0)[0].document.parameters.logprobs == 0
    assert completions("a")[0].document.parameters.logprobs is None


def test_completions__stop_text_or_list__is_one_kind():
    assert completions("a", stop="x") == completions("a", stop=["x"])


IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}


@pytest.mark.parametrize(
    ("body", "fields", "complaint"),
    [
        (
            ChatBody,
            {"messages": [{"role": "user", "content": [IMAGE]}]},
            "^messages.0.content.0.type: Input should be 'text'",
        ),
        (ChatBody, {"messages": [{"role": "user", "content": 1}]}, "content: .* list of parts"),
        (
            ChatBody,
            {"messages": HELLO, "tool_choice": {"type": "function", "name": "f"}},
            "^tool_choice.function: Field required",
        ),
        (
            ChatBody,
            {"messages": HELLO, "tool_choice": function("no name")},
            "^tool_choice.function.name: ",
        ),
        (ChatBody, {"messages": HELLO, "tool_choice": "any"}, "^tool_choice: .* 'required'"),
        (ChatBody, {"messages": HELLO, "tool_choice": 1}, "^tool_choice: .* 'required'"),
        (ChatBody, {"messages": HELLO, "stop": ""}, "stop.0: .* at least 1 character"),
        (ChatBody, {"messages": HELLO, "stop": ["a"] * 17}, "stop: .* at most 16"),
        (ChatBody, {"messages": HELLO, "stop": {}}, "stop: .* string or list"),
        (CompletionBody, {"prompt": ["a"] * 9}, "prompt: .* at most 8"),
        (CompletionBody, {"prompt": []}, "prompt: .* at least 1"),
        (CompletionBody, {"prompt": [True]}, "prompt.0: .* string"),
        (CompletionBody, {"prompt": {}}, "prompt: .* string or list"),
        (EmbeddingBody, {"input": ["a"] * 257}, "input: .* at most 256"),
        (EmbeddingBody, {"input": [1]}, "input: tokens are not served"),
    ],
)
def test_body__wrong_in_one_of_its_forms__is_told_what_is_wrong(body, fields, complaint):
    raw = json.dumps({"model": "m", **fields}).encode()
    with pytest.raises(InvalidRequest, match=complaint):
        body_of(body, raw)


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ({}, Tools((Tool("f", "Does", '{"type":"object"}'),))),
        ({"tool_choice": "auto", "parallel_tool_calls": True}, Tools((Tool("f"),))),
        ({"parallel_tool_calls": False}, Tools((Tool("f"),), are_parallel=False)),
        ({"tool_choice": "required"}, Tools((Tool("f"),), must_call=True)),
        ({"tool_choice": function("f")}, Tools((Tool("f"),), named="f")),
        ({"tool_choice": "none"}, None),
    ],
)
def test_chat__tools__go_into_the_prompt(choice, tools):
    told = function("f", strict=True, description=None)
    if not choice:
        told = function("f", description="Does", parameters={"type": "object"})
    (request,) = chat(tools=[told], **choice)
    assert request.document.tools == tools
    assert parse_prompt(request.document.to_bytes()) == request.document


def test_chat__calls_and_what_they_brought__go_into_the_prompt():
    messages = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    messages.append({"role": "tool", "tool_call_id": "call_1", "content": "42"})
    (request,) = chat(messages=messages)
    assert request.document.messages[1:] == (
        Message("assistant", "", (ToolCall("call_1", "f", "{}"),)),
        Message("tool", "42", tool_call_id="call_1"),
    )
    assert request.document.features == {Feature.TOOL_MESSAGES}
    assert request.shown_prompt == "42"


@pytest.mark.parametrize(
    ("fields", "field", "complaint"),
    [
        ({"tools": [function("f"), function("f")]}, "tools", "twice"),
        ({"tools": [function("f", parameters={"type": "array"})]}, "tools", "object"),
        ({"tools": [function("f", parameters={"x": "y" * 20_000})]}, "tools", "more than"),
        ({"tools": [function("f")], "tool_choice": function("g")}, "tool_choice", "none of"),
        (
            {
                "tools": [function("f", parameters={"properties": {"a": {"pattern": "(a+)+"}}})],
                "tool_choice": "required",
            },
            "tools",
            "'pattern' is not taken",
        ),
    ],
)
def test_chat__tools_out_of_bounds__are_refused(fields, field, complaint):
    with pytest.raises(InvalidRequest, match=complaint) as refusal:
        chat(**fields)
    assert refusal.value.field == field


def test_chat__only_shown_schemas__may_say_what_no_grammar_does():
    parameters = {"properties": {"a": {"pattern": "^a+$"}}, "oneOf": [{"required": ["a"]}]}
    (request,) = chat(tools=[function("f", parameters=parameters)])
    assert request.document.features == {Feature.TOOLS}
