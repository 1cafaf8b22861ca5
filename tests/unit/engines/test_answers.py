"""An engine that breaks the port's promises is at fault, whatever it says."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable, PromptTooLong
from decentralized_vllm.protocol.generation import (
    Feature,
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    Message,
    PromptTokenLogprob,
    SamplingParameters,
    TokenLogprob,
)
from decentralized_vllm.protocol.logprobs import MAX_TOKENS_WITH_LOGPROBS
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from dvllm_worker.engines.answers import checked_answer

REQUEST = GenerationRequest("r", SamplingParameters(max_tokens=3), prompt="hi")
RATED = GenerationRequest("r", SamplingParameters(max_tokens=3, logprobs=1), prompt="hi")
ALL = frozenset(Feature)


class Source:
    """Gives chunks of the sizes asked for, the last of them with a finish reason or not."""

    def __init__(self, sizes: list[int], *, finishes: bool = True, n_rated: int = 0) -> None:
        self._sizes = sizes
        self._logprobs = (TokenLogprob("x", 0.0),) * n_rated
        self._finishes = finishes
        self.is_closed = False

    async def __call__(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        try:
            for index, size in enumerate(self._sizes):
                is_last = self._finishes and index == len(self._sizes) - 1
                reason = FinishReason.STOP if is_last else None
                yield GenerationChunk("x", tuple(range(size)), 1, reason, self._logprobs)
        finally:
            self.is_closed = True


async def n_tokens(source: Source, request: GenerationRequest = REQUEST) -> int:
    return sum([len(chunk.token_ids) async for chunk in checked_answer(request, source, ALL)])


async def test_checked__as_many_tokens_as_allowed__passes() -> None:
    assert await n_tokens(Source([1, 2])) == 3


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (Source([2, 2]), "more than 3"),
        (Source([0]), "without a single token"),
        (Source([1], finishes=False), "broke off"),
        (Source([]), "broke off"),
    ],
)
async def test_checked__broken_promise__unavailable(source: Source, complaint: str) -> None:
    with pytest.raises(EngineUnavailable, match=complaint):
        await n_tokens(source)
    assert source.is_closed


@pytest.mark.parametrize(("request_", "n_rated"), [(RATED, 0), (RATED, 2), (REQUEST, 1)])
async def test_checked__not_every_token_rated_as_asked__unavailable(
    request_: GenerationRequest, n_rated: int
) -> None:
    with pytest.raises(EngineUnavailable, match="rate"):
        await n_tokens(Source([1], n_rated=n_rated), request_)


async def test_checked__every_token_rated__passes() -> None:
    assert await n_tokens(Source([1, 1], n_rated=1), RATED) == 2


async def test_checked__malformed_request__engine_never_asked() -> None:
    source = Source([1])
    with pytest.raises(EngineRefused):
        await n_tokens(source, GenerationRequest("r", SamplingParameters(max_tokens=0), prompt="a"))
    assert not source.is_closed


async def test_checked__closed_by_the_caller__source_closed_at_once() -> None:
    source = Source([1, 1, 1])
    chunks = checked_answer(REQUEST, source, ALL)
    await anext(chunks)
    await chunks.aclose()
    assert source.is_closed


@pytest.mark.parametrize(
    ("tools", "names", "reason"),
    [
        (None, ["f"], FinishReason.TOOL_CALLS),
        (Tools((Tool("f"),)), ["made_up"], FinishReason.TOOL_CALLS),
        (Tools((Tool("f"),), named="f"), ["f", "f"], FinishReason.TOOL_CALLS),
        (Tools((Tool("f"),), must_call=True), [], FinishReason.STOP),
    ],
)
async def test_checked__calls_nobody_asked_for_or_none__unavailable(
    tools: Tools | None, names: list[str], reason: FinishReason
) -> None:
    async def source(request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        calls = tuple(ToolCall(str(n), name, "{}") for n, name in enumerate(names))
        yield GenerationChunk("", (1,), 1, reason, tool_calls=calls)

    request = GenerationRequest("r", SamplingParameters(), (Message("user", "a"),), tools=tools)
    with pytest.raises(EngineUnavailable, match="tool_calls"):
        [chunk async for chunk in checked_answer(request, source, ALL)]


OF_INPUTS = GenerationRequest("r", SamplingParameters(max_tokens=1), inputs=("a", "b"))


async def vectors_of(text: str, token_ids: tuple[int, ...] = ()) -> str:
    async def source(request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        yield GenerationChunk(text, token_ids, 2, FinishReason.STOP)

    return "".join([chunk.text async for chunk in checked_answer(OF_INPUTS, source, ALL)])


async def test_checked__vectors_of_each_input__pass() -> None:
    text = vectors_text([[1.0], [2.0]])
    assert await vectors_of(text) == text


@pytest.mark.parametrize(
    ("text", "token_ids", "complaint"),
    [
        (vectors_text([[1.0]]), (), "no vectors of 2"),
        ("Hello", (), "no vectors"),
        (vectors_text([[1.0], [2.0]]), (7,), "made tokens"),
    ],
)
async def test_checked__no_vectors_of_each_input__at_fault(
    text: str, token_ids: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(EngineUnavailable, match=complaint):
        await vectors_of(text, token_ids)


OF_TOKENS = GenerationRequest("r", SamplingParameters(), token_ids=(5, 6))
RATED_PROMPT = replace(RATED, parameters=replace(RATED.parameters, prompt_logprobs=True))
BARE, SURE = PromptTokenLogprob("a", None), PromptTokenLogprob("b", 0.0)


def reading(
    request: GenerationRequest, n_read: int, *parts: tuple[PromptTokenLogprob, ...]
) -> Callable[[GenerationRequest], AsyncGenerator[GenerationChunk, None]]:
    """Tells parts of the prompt one after the other, and then one token."""

    async def chunks(_: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        for part in parts:
            yield GenerationChunk("", (), n_read, prompt_logprobs=part)
        rated = (TokenLogprob("x", 0.0),) if request.parameters.logprobs is not None else ()
        yield GenerationChunk("x", (1,), n_read, FinishReason.STOP, rated)

    return chunks


async def drained(
    request: GenerationRequest, n_read: int, *parts: tuple[PromptTokenLogprob, ...]
) -> int:
    source = reading(request, n_read, *parts)
    return len([chunk async for chunk in checked_answer(request, source, ALL)])


async def test_checked__token_ids__are_read_as_they_are() -> None:
    assert await drained(OF_TOKENS, 2) == 1
    with pytest.raises(EngineUnavailable, match="read 3 tokens where 2 were given"):
        await drained(OF_TOKENS, 3)


@pytest.mark.parametrize("parts", [((BARE, SURE, SURE),), ((BARE,), (SURE, SURE))])
async def test_checked__rated_prompt_in_any_parts__passes(
    parts: tuple[tuple[PromptTokenLogprob, ...], ...],
) -> None:
    assert await drained(RATED_PROMPT, 3, *parts) == len(parts) + 1


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        (RATED_PROMPT, ()),
        (RATED_PROMPT, (BARE,)),
        (RATED_PROMPT, (BARE, SURE, SURE)),
        (RATED_PROMPT, (SURE, SURE)),
        (RATED, (BARE, SURE)),
    ],
    ids=["not at all", "too few", "too many", "the first", "not asked for"],
)
async def test_checked__prompt_rated_otherwise_than_asked__unavailable(
    request_: GenerationRequest, part: tuple[PromptTokenLogprob, ...]
) -> None:
    with pytest.raises(EngineUnavailable, match="rates"):
        await drained(request_, 2, part)


async def test_checked__text_of_more_tokens_than_are_rated__too_long() -> None:
    many = (SURE,) * (MAX_TOKENS_WITH_LOGPROBS - RATED_PROMPT.parameters.max_tokens)
    with pytest.raises(PromptTooLong):
        await drained(RATED_PROMPT, len(many) + 1, many, (SURE,))
