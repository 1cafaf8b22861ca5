"""Calls: forced ones are the text itself, chosen ones what the server's parser says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.errors import EngineUnavailable
from decentralized_vllm.protocol.generation import (
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    Message,
    SamplingParameters,
)
from decentralized_vllm.protocol.tool_documents import checked_tools, tool
from decentralized_vllm.protocol.tools import ToolCall, Tools
from dvllm_worker.engines.vllm_messages import AnswerReader, completion_body, prompt_fields
from dvllm_worker.engines.vllm_tool_calls import call_id, call_reader

F = tool("f", "Does", {"properties": {"a": {"type": "integer"}}})
G = tool("g", "", None)
CHOSEN = checked_tools([F, G])
NAMED = checked_tools([F, G], named="f")
REQUIRED = checked_tools([F, G], must_call=True)


def asked(tools: Tools | None, *further: Message) -> GenerationRequest:
    messages = (Message("user", "hi"), *further)
    return GenerationRequest("r", SamplingParameters(stop=("x",)), messages, tools=tools)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"delta": delta, "token_ids": [7], "finish_reason": finish}
    return json.dumps({"model": "m", "choices": [choice]}).encode()


def call(index: int, name: str | None, arguments: str, told_id: str | None = None) -> Any:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": told_id, "type": "function", "function": function}


def read(
    tools: Tools | None, deltas: list[dict[str, Any]], finish: str = "stop"
) -> list[GenerationChunk]:
    """All chunks of an answer in these pieces."""
    reader = AnswerReader("m", None, call_reader(asked(tools)))
    ends = [None] * (len(deltas) - 1) + [finish]
    chunks = [reader.read(event(d, end)) for d, end in zip(deltas, ends, strict=True)]
    usage = {"prompt_tokens": 0, "completion_tokens": len(deltas)}
    chunks.append(reader.read(json.dumps({"model": "m", "usage": usage}).encode()))
    return [chunk for chunk in chunks if chunk is not None]


def texts(*pieces: str) -> list[dict[str, Any]]:
    return [{"content": piece} for piece in pieces]


def test_body__chosen__the_server_has_the_model_choose() -> None:
    body = completion_body(asked(CHOSEN), "m", 7)
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("auto", True)
    assert (body["stop"], "response_format" in body) == (["x"], False)
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert body["tools"][0] == {
        "type": "function",
        "function": {"name": "f", "description": "Does", "parameters": parameters},
    }
    assert body["tools"][1]["function"]["parameters"]["properties"] == {}


@pytest.mark.parametrize("tools", [NAMED, REQUIRED])
def test_body__forced__is_a_matter_of_grammar(tools: Tools) -> None:
    body = completion_body(asked(tools), "m", 7)
    assert (body["tool_choice"], body["stop"]) == ("none", [])
    assert "parallel_tool_calls" not in body
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["type"] == ("object" if tools is NAMED else "array")
    assert len(body["tools"]) == 2


def test_body__no_tools__says_nothing_of_them() -> None:
    assert not {"tools", "tool_choice"} & set(completion_body(asked(None), "m", 7))


def test_prompt__history__in_the_servers_form() -> None:
    asking = Message("assistant", "", (ToolCall("1", "f", '{"a":1}'),))
    _, told, brought = prompt_fields(asked(None, asking, Message("tool", "2", (), "1")))["messages"]
    function = {"name": "f", "arguments": '{"a":1}'}
    assert told["tool_calls"] == [{"id": "1", "type": "function", "function": function}]
    assert told["content"] is None
    assert brought == {"role": "tool", "content": "2", "tool_call_id": "1"}


def test_named__text_is_its_arguments__and_shown_nowhere() -> None:
    chunks = read(NAMED, texts(' {"a"', ": 1}\n"))
    assert [chunk.text for chunk in chunks] == ["", ""]
    assert chunks[-1].tool_calls == (ToolCall(call_id("r", 0), "f", '{"a": 1}'),)
    assert chunks[-1].finish_reason is FinishReason.TOOL_CALLS


def test_required__list__each_is_a_call() -> None:
    told = '[{"name":"f","parameters":{"a":1,"b":"é"}},{"name":"g","parameters":{}}]'
    (*_, last) = read(REQUIRED, texts(told[:20], told[20:]))
    assert [(c.name, c.arguments) for c in last.tool_calls] == [
        ("f", '{"a":1,"b":"é"}'),
        ("g", "{}"),
    ]
    assert len({c.id for c in last.tool_calls}) == 2
    assert last.finish_reason is FinishReason.TOOL_CALLS


@given(st.integers(0, 70))
def test_required__cut_anywhere__only_whole_calls(cut: int) -> None:
    told = '[{"name":"f","parameters":{"a":1}}, {"name":"g","parameters":{"b":[2]}}]'
    (*_, last) = read(REQUIRED, texts(told[:cut]), "length")
    whole = [("f", '{"a":1}')] if cut > told.index(" ") else []
    assert [(c.name, c.arguments) for c in last.tool_calls] in ([], whole)
    assert last.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize("text", ["", "[", "hello", "{}", '[{"name":"f"}]', "[1]"])
def test_required__not_of_the_grammar__unavailable(text: str) -> None:
    with pytest.raises(EngineUnavailable, match="grammar"):
        read(REQUIRED, texts(text))


def test_chosen__pieces__put_together_beside_the_text() -> None:
    deltas = [
        {"content": "Let me see"},
        {"tool_calls": [{"index": 0, "id": None, "function": None}]},
        {"tool_calls": [call(0, "f", "", "functions.f:0")]},
        {"tool_calls": [call(0, None, '{"a"'), call(1, "g", "{}", "no good id")]},
        {"tool_calls": [call(0, None, ":1}")]},
    ]
    chunks = read(CHOSEN, deltas, "tool_calls")
    assert "".join(chunk.text for chunk in chunks) == "Let me see"
    assert chunks[-1].finish_reason is FinishReason.TOOL_CALLS
    assert chunks[-1].tool_calls == (
        ToolCall("functions.f:0", "f", '{"a":1}'),
        ToolCall(call_id("r", 1), "g", "{}"),
    )


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_chosen__a_function_nobody_offered__is_left_out(finish: str) -> None:
    (*_, last) = read(CHOSEN, [{"tool_calls": [call(0, "made_up", "{}", "1")]}], finish)
    assert (last.tool_calls, last.finish_reason) == ((), FinishReason.STOP)


def test_chosen__one_wanted__the_first() -> None:
    deltas = [{"tool_calls": [call(n, "g", "{}", str(n))]} for n in range(3)]
    (*_, last) = read(checked_tools([F, G], are_parallel=False), deltas, "tool_calls")
    assert last.tool_calls == (ToolCall("0", "g", "{}"),)


def test_plain__calls_of_a_server__are_not_taken() -> None:
    (last,) = read(None, [{"content": "a", "tool_calls": [call(0, "f", "{}", "1")]}])
    assert (last.text, last.tool_calls, last.finish_reason) == ("a", (), FinishReason.STOP)
