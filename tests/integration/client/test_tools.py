"""Tools through the asynchronous client: what is asked, and which calls are believed."""

from dataclasses import replace

import pytest

from decentralized_vllm import AsyncClient, InvalidPrompt, InvalidResponse, Message, ToolCall
from decentralized_vllm.protocol.generation import FinishReason
from decentralized_vllm.protocol.prompts import parse_prompt
from tests.support.local_network import MODEL

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}
CALL = ToolCall("call_1", "get_weather", '{"city":"Oslo"}')


async def answer_with(market, task, *calls, text=""):
    """The node delivers these calls, signed."""
    plain = await market.node.document(task.id, text or "x")
    document = replace(
        plain,
        text=text,
        tool_calls=calls,
        finish_reason=FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
    )
    await market.node.deliver(
        task.id, document.sign(market.node.account).to_bytes(), document.usage
    )


async def test_submit_task__tools__are_in_the_prompt_and_its_calls_in_the_result(client, market):
    task = await client.submit_task(
        "Weather in Oslo?",
        MODEL.model_id,
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    prompt = parse_prompt(await market.store.read_bytes(task.prompt_cid, max_bytes=10_000))
    assert prompt.tools.must_call and not prompt.tools.are_parallel
    assert [tool.name for tool in prompt.tools.functions] == ["get_weather"]
    assert task.tool_calls == ()
    await answer_with(market, task, CALL)
    done = await client.wait_for_completion(task.id, timeout=60)
    assert (done.response, done.finish_reason, done.tool_calls) == ("", "tool_calls", (CALL,))
    assert done.vectors is None


async def test_submit_task__calls_and_what_they_brought__go_on_as_messages(client, market):
    in_openai_shape = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": CALL.id,
                "type": "function",
                "function": {"name": CALL.name, "arguments": CALL.arguments},
                "index": 0,
            }
        ],
    }
    result = {"role": "tool", "content": "Rain", "tool_call_id": CALL.id}
    for called in (in_openai_shape, Message("assistant", "", (CALL,))):
        task = await client.submit_task([called, result], MODEL.model_id)
        prompt = parse_prompt(await market.store.read_bytes(task.prompt_cid, max_bytes=10_000))
        assert prompt.messages == (
            Message("assistant", "", (CALL,)),
            Message("tool", "Rain", tool_call_id=CALL.id),
        )


@pytest.mark.parametrize(
    ("offer", "calls"),
    [
        ({}, [CALL]),
        ({"tools": [WEATHER]}, [replace(CALL, name="delete_everything")]),
        ({"tools": [WEATHER], "tool_choice": "none"}, [CALL]),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, [CALL, replace(CALL, id="call_2")]),
        ({"tools": [WEATHER], "tool_choice": "required"}, []),
    ],
    ids=["none offered", "another one", "none wanted", "too many", "none made"],
)
async def test_wait_for_completion__calls_that_the_prompt_does_not_allow__are_refused(
    client, market, offer, calls
):
    task = await client.submit_task("Hi", MODEL.model_id, **offer)
    await answer_with(market, task, *calls)
    with pytest.raises(InvalidResponse, match="tool_calls"):
        await client.wait_for_completion(task, timeout=60)


async def test_get_task__in_another_process__holds_calls_against_the_prompt(client, market):
    honest = await client.submit_task("Hi", MODEL.model_id, tools=[WEATHER])
    bare = await client.submit_task("Hi", MODEL.model_id)
    for task in (honest, bare):
        await answer_with(market, task, CALL)
    async with AsyncClient.of(market.settings(private_key=None)) as reader:
        assert (await reader.get_task(honest.id)).tool_calls == (CALL,)
        with pytest.raises(InvalidResponse, match="offers no tools"):
            await reader.get_task(bare.id)


MISTAKES = [
    ({"tools": {"type": "function"}}, "tools: must be a list"),
    ({"tools": [{"function": {"name": "f"}}]}, "tools.0.type: Field required"),
    ({"tools": [WEATHER, {**WEATHER, "function": {"name": "a b"}}]}, "tools.1.function.name: "),
    ({"tools": [{**WEATHER, "function": {"name": "f", "params": {}}}]}, "tools.0.function.params"),
    ({"tools": [WEATHER, WEATHER]}, "tools: a name is given twice"),
    ({"tools": [WEATHER] * 129}, "tools: 129, more than 128"),
    ({"tools": [WEATHER], "tool_choice": "get_weather"}, "tool_choice: none, auto, required"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "tool_choice.function: Field"),
    (
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        "tool_choice: names none of the tools",
    ),
    ({"tool_choice": "required"}, "tool_choice: there are no tools"),
]


async def test_submit_task__tools_that_are_none__are_refused_by_name(client, market):
    for offer, told in MISTAKES:  # one network for all of them
        with pytest.raises(InvalidPrompt) as caught:
            await client.submit_task("Hi", MODEL.model_id, **offer)
        assert caught.value.message.startswith(told)
    with pytest.raises(InvalidPrompt, match="tool_calls: function"):
        await client.submit_task(
            [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}], MODEL.model_id
        )
    assert await market.network.coordinator.job_count() == 0
