"""Answers of very many numbers: others are served while they are read and written."""

import asyncio
from types import SimpleNamespace

import orjson
import pytest

from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.generation import FinishReason, TokenLogprob, Usage
from dvllm_gateway.dialects.openai import chat, embeddings
from dvllm_gateway.dialects.openai.requests import ChatBody, EmbeddingBody
from dvllm_gateway.dialects.openai.run import Answer
from dvllm_gateway.errors import TaskFailed
from dvllm_gateway.http.replies import json_bytes
from tests.unit.gateway.openai.scripted_tasks import make_record
from tests.unit.gateway.openai.test_streaming import CHAT, RATED, chat_frames, make_run, payloads

INPUTS = EmbeddingBody(model="m", input=["a"] * 64, encoding_format="float")


def answer_of(text, rated=None):
    document = SimpleNamespace(logprobs=rated)
    return Answer(text, FinishReason.STOP, Usage(3, 4), make_record(response=text), document)


async def others_are_served(work):
    """What `work` returns; and whether anybody else had a turn of the loop before it did."""
    turn = asyncio.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    return await work, turn.is_set()


async def test_vectors__many_of_them__are_read_while_others_are_served():
    text = vectors_text([[0.5] * 512] * 64)
    reply, were_served = await others_are_served(embeddings.reply_of(INPUTS, answer_of(text)))
    assert were_served
    assert [item.index for item in reply.data] == [*range(64)]
    assert reply.data[63].embedding == [0.5] * 512


async def test_vectors__that_are_none__are_refused_in_a_thread_too():
    with pytest.raises(TaskFailed, match="no vectors"):
        await embeddings.reply_of(INPUTS, answer_of("x" * 100_000))


async def test_chat__with_ratings__is_written_while_others_are_served():
    body = ChatBody.model_validate({**CHAT, "logprobs": True})
    answers = [answer_of("a", [TokenLogprob("a", -0.5)] * 4096)]
    reply, were_served = await others_are_served(chat.reply_of(body, answers))
    assert were_served
    assert len(reply.choices[0].logprobs.content) == 4096


async def test_stream__with_ratings__is_written_while_others_are_served(monkeypatch):
    """Whoever writes them waits here until the loop has had a turn."""
    loop, real = asyncio.get_running_loop(), chat.chat_logprobs

    def after_a_turn(tokens):
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(timeout=30)
        return real(tokens)

    monkeypatch.setattr(chat, "chat_logprobs", after_a_turn)
    run = await make_run(["aé"], document=SimpleNamespace(logprobs=RATED))
    chunks = payloads(await chat_frames(run, logprobs=True))
    (rated,) = [c for c in chunks if c["choices"][0].get("logprobs")]
    assert [t["token"] for t in rated["choices"][0]["logprobs"]["content"]] == ["a", "é"]


async def test_json__of_a_reply__is_what_its_fields_are():
    body = ChatBody.model_validate({**CHAT, "logprobs": True})
    reply = await chat.reply_of(body, [answer_of('"\n\u2028é🙂\x7f\x01', RATED)])
    assert orjson.loads(json_bytes(reply)) == reply.model_dump(mode="json", by_alias=True)
