"""The test engine keeps the port's promises and breaks them when asked."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable
from decentralized_vllm.protocol.generation import (
    Candidate,
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    Message,
    PromptTokenLogprob,
    ResponseFormat,
    SamplingParameters,
    TokenLogprob,
)
from decentralized_vllm.protocol.tools import Tool, Tools
from dvllm_worker.engines.null_engine import NullEngine
from dvllm_worker.engines.settings import NullSettings


async def answer(
    engine: NullEngine, max_tokens: int = 100, **parameters: Any
) -> list[GenerationChunk]:
    request = GenerationRequest(
        "r",
        SamplingParameters(max_tokens=max_tokens, **parameters),
        messages=(Message("user", "one two"),),
    )
    return [chunk async for chunk in engine.generate(request)]


async def started(**settings: float) -> NullEngine:
    engine = NullEngine(NullSettings.model_validate(settings))
    await engine.start()
    return engine


async def test_generate__settings__decide_the_length() -> None:
    chunks = await answer(await started(n_tokens=3))
    assert "".join(chunk.text for chunk in chunks) == "one two one"
    assert [chunk.finish_reason for chunk in chunks] == [None, None, FinishReason.STOP]
    assert {chunk.n_prompt_tokens for chunk in chunks} == {2}


async def test_generate__max_tokens_lower__length() -> None:
    chunks = await answer(await started(n_tokens=3), max_tokens=2)
    assert len(chunks) == 2
    assert chunks[-1].finish_reason is FinishReason.LENGTH


async def test_generate__failure_asked_for__fails_that_often() -> None:
    engine = await started()
    engine.fail_next(1)
    with pytest.raises(EngineUnavailable):
        await answer(engine)
    assert await answer(engine)


async def test_generate__hang_asked_for__silent_after_the_first_token() -> None:
    engine = await started()
    engine.hang_next()
    request = GenerationRequest("r", SamplingParameters(), prompt="x")
    async with aclosing(engine.generate(request)) as chunks:
        await anext(chunks)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(chunks), timeout=0.05)


async def test_generate__stopped__unavailable() -> None:
    engine = await started()
    await engine.stop()
    assert not await engine.is_healthy()
    with pytest.raises(EngineUnavailable):
        await answer(engine)


async def test_generate__json_asked_for__an_object_of_the_words() -> None:
    chunks = await answer(await started(n_tokens=99), response_format=ResponseFormat())
    text = "".join(chunk.text for chunk in chunks)
    assert json.loads(text) == {"words": ["one", "two"]}
    assert chunks[-1].finish_reason is FinishReason.STOP
    assert {chunk.n_prompt_tokens for chunk in chunks} == {2}


async def test_generate__schema_asked_for__refused() -> None:
    with pytest.raises(EngineRefused, match="json_schema"):
        await answer(await started(), response_format=ResponseFormat("{}"))


async def test_generate__logprobs_asked_for__sure_of_every_word() -> None:
    engine = await started(n_tokens=2)
    plain = [each for chunk in await answer(engine, logprobs=0) for each in chunk.logprobs]
    assert plain == [TokenLogprob("one", 0.0), TokenLogprob(" two", 0.0)]
    (first, _) = await answer(engine, logprobs=3)
    assert first.logprobs == (TokenLogprob("one", 0.0, (Candidate("one", 0.0),)),)


async def called(tools: Tools, *further: Message) -> list[GenerationChunk]:
    engine = await started(n_tokens=2)
    messages = (Message("user", "one two"), *further)
    request = GenerationRequest("r", SamplingParameters(), messages, tools=tools)
    return [chunk async for chunk in engine.generate(request)]


@pytest.mark.parametrize(("named", "name"), [(None, "f"), ("g", "g")])
async def test_generate__tools__called_with_the_words(named: str | None, name: str) -> None:
    (chunk,) = await called(Tools((Tool("f"), Tool("g")), named=named))
    (call,) = chunk.tool_calls
    assert (chunk.text, chunk.finish_reason) == ("", FinishReason.TOOL_CALLS)
    assert (call.name, json.loads(call.arguments)) == (name, {"words": ["one", "two"]})


async def test_generate__a_tool_has_answered__text_unless_forced() -> None:
    brought = Message("tool", "2", tool_call_id="1")
    assert len(await called(Tools((Tool("f"),)), brought)) == 2
    (chunk,) = await called(Tools((Tool("f"),), must_call=True), brought)
    assert chunk.tool_calls


async def test_generate__tokens__their_numbers_are_the_words() -> None:
    engine = await started(n_tokens=3)
    request = GenerationRequest("r", SamplingParameters(max_tokens=9), token_ids=(504, 7))
    chunks = [chunk async for chunk in engine.generate(request)]
    assert "".join(chunk.text for chunk in chunks) == "504 7 504"
    assert {chunk.n_prompt_tokens for chunk in chunks} == {2}


async def test_generate__prompt_logprobs__sure_of_every_word_but_the_first() -> None:
    engine = await started(n_tokens=2)
    parameters = SamplingParameters(logprobs=1, prompt_logprobs=True)
    request = GenerationRequest("r", parameters, prompt="one two")
    first, second = [chunk async for chunk in engine.generate(request)]
    sure = (Candidate(" two", 0.0),)
    assert first.prompt_logprobs == (
        PromptTokenLogprob("one", None),
        PromptTokenLogprob(" two", 0.0, sure),
    )
    assert second.prompt_logprobs == ()
