from types import SimpleNamespace

import orjson
import pytest

from decentralized_vllm.protocol.generation import (
    Candidate,
    FinishReason,
    PromptTokenLogprob,
    TokenLogprob,
)
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from dvllm_gateway.dialects.openai.chat import ChatFrames
from dvllm_gateway.dialects.openai.completions import TextFrames
from dvllm_gateway.dialects.openai.echoes import Echoes
from dvllm_gateway.dialects.openai.requests import ChatBody, CompletionBody
from dvllm_gateway.dialects.openai.run import Run
from dvllm_gateway.dialects.openai.streaming import DONE, frames_of
from dvllm_gateway.errors import NetworkUnavailable, TaskFailed
from tests.unit.gateway.openai.scripted_tasks import ACCOUNT, ScriptedTasks
from tests.unit.gateway.openai.test_run import make_requests, uncounted

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


RATED = [TokenLogprob("a", -0.5, (Candidate("b", -0.25),)), TokenLogprob("é", -1.0)]


async def make_run(*texts, document=None, tools=None, ends=FinishReason.STOP):
    tasks = ScriptedTasks(*texts, document=document, ends=ends)
    records = await tasks.submit_all(ACCOUNT, make_requests(len(texts)))
    return Run(tasks, ACCOUNT, records, uncounted, tools)


async def chat_frames(run, **fields):
    body = ChatBody.model_validate({**CHAT, **fields})
    return [frame async for frame in frames_of(run, ChatFrames(body, run), "req-1")]


async def text_frames(run, **fields):
    body = CompletionBody.model_validate({"model": "m", "prompt": "hi", **fields})
    told = TextFrames(body, Echoes(body), run)
    return [frame async for frame in frames_of(run, told, "req-1")]


def payloads(frames):
    return [orjson.loads(f[6:]) for f in frames if f.startswith(b"data: {")]


async def test_chat__odd_texts__arrive_as_they_were_told():
    texts = ["a\n\n", '"\\', "\u2028", "é🙂", "[DONE]", "\x00text\x00"]
    chunks = payloads(await chat_frames(await make_run(texts)))
    told = [c["choices"][0]["delta"]["content"] for c in chunks[1:-1]]
    assert told == texts


async def test_chat__of_a_model_named_like_the_place_of_the_text__is_told_all_the_same():
    name = "\x00text\x00"
    chunks = payloads(await chat_frames(await make_run(["a"]), model=name))
    assert [chunk["model"] for chunk in chunks] == [name] * 3
    assert chunks[1]["choices"][0]["delta"] == {"content": "a"}


async def test_chat__frames__open_with_the_role_and_close_with_the_reason():
    frames = await chat_frames(await make_run(["a"]))
    chunks = payloads(frames)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all(chunk["usage"] is None for chunk in chunks)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert frames[-1] == DONE


async def test_chat__deltas__tell_only_what_is_new():
    chunks = payloads(await chat_frames(await make_run(["a"])))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {},
    ]


async def test_chat__usage_wanted__is_one_last_chunk_without_choices():
    run = await make_run(["a", "b"], ["c"])
    chunks = payloads(await chat_frames(run, stream_options={"include_usage": True}))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 6,
        "completion_tokens": 3,
        "total_tokens": 9,
    }


async def test_chat__fails_on_the_way__tells_the_error_and_is_not_done():
    frames = await chat_frames(await make_run(["a", TaskFailed("the node left")]))
    assert payloads(frames)[-1]["error"]["message"] == "the node left"
    assert frames[-1] != DONE


async def test_chat__proof__is_a_comment_that_clients_skip():
    frames = await chat_frames(await make_run(["a"]))
    (proof,) = [f for f in frames if f.startswith(b":")]
    assert b"X-Dvllm-Job-Id: 7" in proof
    assert proof.count(b"\n") == 2


async def test_chat__logprobs__come_before_the_end_and_all_at_once():
    run = await make_run(["a", "é"], document=SimpleNamespace(logprobs=RATED))
    chunks = payloads(await chat_frames(run, logprobs=True))
    (rated,) = [c["choices"][0] for c in chunks if c["choices"][0]["logprobs"] is not None]
    assert rated == chunks[-2]["choices"][0]
    assert rated["delta"]["content"] == ""
    assert rated["logprobs"] == {
        "content": [
            {
                "token": "a",
                "logprob": -0.5,
                "bytes": [97],
                "top_logprobs": [{"token": "b", "logprob": -0.25, "bytes": [98]}],
            },
            {"token": "é", "logprob": -1.0, "bytes": [195, 169], "top_logprobs": []},
        ],
        "refusal": None,
    }


async def test_chat__logprobs_not_to_be_read__tells_the_error():
    run = await make_run(["a"], document=NetworkUnavailable("gone", task_created=True))
    frames = await chat_frames(run, logprobs=True)
    assert payloads(frames)[-1]["error"]["message"] == "gone"
    assert frames[-1] != DONE


async def test_text__logprobs__as_completions_tell_them():
    run = await make_run(["a", "é"], document=SimpleNamespace(logprobs=RATED))
    frames = await text_frames(run, logprobs=1)
    assert payloads(frames)[-2]["choices"][0]["logprobs"] == {
        "tokens": ["a", "é"],
        "token_logprobs": [-0.5, -1.0],
        "top_logprobs": [{"b": -0.25, "a": -0.5}, {"é": -1.0}],
        "text_offset": [0, 1],
    }


CALLS = (ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "f", "{}"))
TOLD_CALLS = [
    {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a":1}'},
    },
    {"index": 1, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
]


async def test_chat__calls__come_whole_before_the_end():
    run = await make_run(
        ["Let me see"],
        document=SimpleNamespace(tool_calls=CALLS),
        tools=Tools((Tool("f"),)),
        ends=FinishReason.TOOL_CALLS,
    )
    chunks = payloads(await chat_frames(run))
    calls = [c["choices"][0] for c in chunks if "tool_calls" in c["choices"][0]["delta"]]
    assert calls == [chunks[-2]["choices"][0]]
    assert calls[0]["delta"] == {"tool_calls": TOLD_CALLS}
    assert calls[0]["finish_reason"] is None
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_chat__calls_nobody_offered__tell_the_error():
    run = await make_run(["a"], ends=FinishReason.TOOL_CALLS)
    frames = await chat_frames(run)
    assert payloads(frames)[-1]["error"]["code"] == "task_failed"
    assert frames[-1] != DONE


async def test_text__echo__comes_first():
    run = await make_run(["a"])
    frames = await text_frames(run, echo=True)
    assert [c["choices"][0]["text"] for c in payloads(frames)] == ["hi", "a", ""]


ECHOED = (PromptTokenLogprob("x", None), PromptTokenLogprob("yz", -0.5))
DOCUMENT = SimpleNamespace(logprobs=RATED, prompt_logprobs=ECHOED)


def told(frames):
    """The texts of all chunks, and the one that rates."""
    choices = [chunk["choices"][0] for chunk in payloads(frames)]
    rated = [c["logprobs"]["tokens"] for c in choices if c["logprobs"]]
    return [c["text"] for c in choices], rated


async def test_text__echo_with_logprobs__rates_both_in_one_chunk():
    run = await make_run(["a", "é"], document=DOCUMENT)
    frames = await text_frames(run, echo=True, logprobs=1)
    assert told(frames) == (["hi", "a", "é", "", ""], [["x", "yz", "a", "é"]])


async def test_text__echo_of_tokens__comes_before_the_answer_once_it_is_known():
    run = await make_run(["a", "é"], document=DOCUMENT)
    frames = await text_frames(run, prompt=[[5, 6]], echo=True)
    assert told(frames) == (["xyzaé", ""], [])
    run = await make_run(["a", "é"], document=DOCUMENT)
    frames = await text_frames(run, prompt=[[5, 6]], echo=True, logprobs=0)
    assert told(frames) == (["xyzaé", ""], [["x", "yz", "a", "é"]])


async def test_text__tokens_without_an_echo__are_streamed_as_ever():
    run = await make_run(["a", "é"], document=DOCUMENT)
    assert told(await text_frames(run, prompt=[[5, 6]])) == (["a", "é", ""], [])


@pytest.mark.parametrize(("prompt", "echo"), [(["hi"], "hi"), ([[5, 6]], "xyz")])
async def test_text__echo_alone__leaves_the_answer_out(prompt, echo):
    run = await make_run(["a"], document=DOCUMENT)
    frames = await text_frames(run, prompt=prompt, echo=True, logprobs=1, max_tokens=0)
    texts, rated = told(frames)
    assert ("".join(texts), rated) == (echo, [["x", "yz"]])
    assert payloads(frames)[-1]["choices"][0]["finish_reason"] == "length"


async def test_text__echo_of_tokens_that_nobody_tells__tells_the_error():
    for told_of_prompt in (None, ECHOED[:1]):
        document = SimpleNamespace(logprobs=RATED, prompt_logprobs=told_of_prompt)
        frames = await text_frames(
            await make_run(["a"], document=document), prompt=[[5, 6]], echo=True
        )
        assert payloads(frames)[-1]["error"]["code"] == "task_failed"
        assert frames[-1] != DONE
