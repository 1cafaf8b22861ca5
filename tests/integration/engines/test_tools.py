"""A real vLLM server calls tools: forced by grammar, whatever the model, or as its parser finds."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from decentralized_vllm.protocol.generation import (
    Feature,
    FinishReason,
    GenerationRequest,
    Message,
    SamplingParameters,
)
from decentralized_vllm.protocol.tool_documents import checked_tools, tool
from decentralized_vllm.protocol.tools import ToolCall, Tools
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.vllm_engine import VllmEngine
from tests.support.engines import ask, running, smollm2_model_path, vllm_python

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.vllm,
    pytest.mark.timeout(600),
]

WEATHER = tool(
    "get_weather",
    "Tells the weather",
    {
        "type": "object",
        "properties": {
            "city": {"$ref": "#/$defs/City"},
            "days": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["city", "days"],
        "additionalProperties": False,
        "$defs": {"City": {"enum": ["Paris", "Oslo"]}},
    },
)
CLOCK = tool("get_time", "", None)
QUESTION = (Message("user", "What is the weather in Paris for 3 days?"),)


def asked(
    tools: Tools | None, messages: tuple[Message, ...] = QUESTION, max_tokens: int = 200
) -> GenerationRequest:
    parameters = SamplingParameters(max_tokens=max_tokens, temperature=0.0)
    return GenerationRequest("job-1", parameters, messages, tools=tools)


def is_weather(arguments: str) -> bool:
    told = json.loads(arguments)
    return set(told) == {"city", "days"} and told["city"] in ("Paris", "Oslo")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[VllmEngine]:
    settings = EngineSettings(
        python=vllm_python(), threads=1, max_model_len=2048, tool_call_parser="hermes"
    )
    async with running(VllmEngine(settings, smollm2_model_path(), "smollm2")) as built:
        yield built


async def test_named__any_model__calls_it_with_what_its_schema_wants(engine: VllmEngine) -> None:
    tools = checked_tools([WEATHER, CLOCK], named="get_weather")
    answer = await ask(engine, asked(tools))
    assert (answer.text, answer.finish_reason) == ("", FinishReason.TOOL_CALLS)
    (call,) = answer.chunks[-1].tool_calls
    assert (call.name, len(call.id)) == ("get_weather", 9)
    assert is_weather(call.arguments)


async def test_named__without_parameters__takes_nothing(engine: VllmEngine) -> None:
    answer = await ask(engine, asked(checked_tools([WEATHER, CLOCK], named="get_time")))
    (call,) = answer.chunks[-1].tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_time", {})


async def test_required__one_call__is_one_of_the_tools(engine: VllmEngine) -> None:
    tools = checked_tools([WEATHER, CLOCK], must_call=True, are_parallel=False)
    answer = await ask(engine, asked(tools))
    assert (answer.text, answer.finish_reason) == ("", FinishReason.TOOL_CALLS)
    (call,) = answer.chunks[-1].tool_calls
    if call.name == "get_weather":
        assert is_weather(call.arguments)
    else:
        assert (call.name, json.loads(call.arguments)) == ("get_time", {})


async def test_required__several_cut_short__those_that_are_whole(engine: VllmEngine) -> None:
    tools = checked_tools([WEATHER], must_call=True)
    answer = await ask(engine, asked(tools, max_tokens=150))
    calls = answer.chunks[-1].tool_calls
    assert answer.finish_reason in (FinishReason.TOOL_CALLS, FinishReason.LENGTH)
    assert all(is_weather(call.arguments) for call in calls)
    assert len({call.id for call in calls}) == len(calls)


async def test_named__no_room__the_arguments_break_off(engine: VllmEngine) -> None:
    tools = checked_tools([WEATHER], named="get_weather")
    answer = await ask(engine, asked(tools, max_tokens=2))
    assert answer.finish_reason is FinishReason.LENGTH
    (call,) = answer.chunks[-1].tool_calls
    with pytest.raises(json.JSONDecodeError):
        json.loads(call.arguments)


async def test_chosen__by_a_model_that_knows_no_tools__is_text(engine: VllmEngine) -> None:
    answer = await ask(engine, asked(checked_tools([WEATHER, CLOCK]), max_tokens=24))
    assert answer.text
    assert answer.chunks[-1].tool_calls == ()
    assert answer.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)


async def test_chosen__in_the_parsers_words__is_a_call(engine: VllmEngine) -> None:
    """So small a model goes on as it was shown; a larger one is shown tools by its template."""
    words = '<tool_call>\n{"name": "get_time", "arguments": {"zone": "UTC"}}\n</tool_call>'
    question = Message("user", "What time is it?")
    shown = (question, Message("assistant", words)) * 3
    zoned = tool("get_time", "", {"type": "object", "properties": {"zone": {"type": "string"}}})
    answer = await ask(engine, asked(checked_tools([zoned]), (*shown, question)))
    assert (answer.text.strip(), answer.finish_reason) == ("", FinishReason.TOOL_CALLS)
    (call,) = answer.chunks[-1].tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_time", {"zone": "UTC"})
    made_up = await ask(engine, asked(checked_tools([WEATHER]), (*shown, question)))
    assert made_up.chunks[-1].tool_calls == ()
    assert made_up.finish_reason is FinishReason.STOP


async def test_history__calls_and_what_they_brought__is_read(engine: VllmEngine) -> None:
    call = ToolCall("call_1", "get_weather", '{"city":"Paris","days":3}')
    messages = (
        *QUESTION,
        Message("assistant", "", (call,)),
        Message("tool", "Rain in Paris", tool_call_id="call_1"),
    )
    answer = await ask(engine, asked(None, messages, max_tokens=24))
    plain = await ask(engine, asked(None, max_tokens=1))
    assert answer.chunks[0].n_prompt_tokens > plain.chunks[0].n_prompt_tokens
    assert answer.text
    assert engine.features == frozenset(Feature) - {Feature.EMBEDDINGS}
