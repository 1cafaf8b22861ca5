"""An engine that breaks the port's promises is at fault, whatever it says."""

from collections.abc import AsyncGenerator

import pytest

from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable
from decentralized_vllm.protocol.generation import (
    Feature,
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    Message,
    SamplingParameters,
    TokenLogprob,
)
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
