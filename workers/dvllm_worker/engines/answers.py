"""Holds engines to the port's promises: an answer that breaks them is a fault, not a result."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from decentralized_vllm.protocol.embeddings import read_vectors
from decentralized_vllm.protocol.errors import EngineUnavailable, InvalidResponse
from decentralized_vllm.protocol.generation import (
    Feature,
    FinishReason,
    GenerationChunk,
    GenerationRequest,
)
from decentralized_vllm.protocol.tools import check_calls
from dvllm_worker.engines.requests import check_request


async def checked_answer(
    request: GenerationRequest,
    open_answer: Callable[[GenerationRequest], AsyncGenerator[GenerationChunk, None]],
    features: frozenset[Feature],
) -> AsyncGenerator[GenerationChunk, None]:
    """Passes the chunks of `open_answer` on; closing this iterator closes that one at once.

    Promised are at least one and at most max_tokens tokens, a finish reason at the end only,
    log-probabilities of every token if they are asked for, and calls as the tools allow; of inputs
    their vectors in one chunk, and no tokens. Raises
    EngineRefused for a request that is malformed or beyond `features`, EngineUnavailable at the
    first broken promise.
    """
    check_request(request, features)
    max_tokens = request.parameters.max_tokens
    is_rated = request.parameters.logprobs is not None
    n_output_tokens = 0
    async with aclosing(open_answer(request)) as chunks:
        async for chunk in chunks:
            n_output_tokens += len(chunk.token_ids)
            if len(chunk.logprobs) != (len(chunk.token_ids) if is_rated else 0):
                raise EngineUnavailable("the engine did not rate each of its tokens")
            if n_output_tokens > max_tokens:
                raise EngineUnavailable(f"the engine made more than {max_tokens} tokens")
            if chunk.finish_reason is not None:
                _check_end(request, chunk, n_output_tokens)
            yield chunk
            if chunk.finish_reason is not None:
                return
    raise EngineUnavailable("the engine's answer broke off")


def _check_end(request: GenerationRequest, last: GenerationChunk, n_output_tokens: int) -> None:
    if request.inputs is not None:
        return _check_vectors(last, len(request.inputs), n_output_tokens)
    if n_output_tokens == 0:
        raise EngineUnavailable("the engine answered without a single token")
    is_cut = last.finish_reason is FinishReason.LENGTH
    try:
        check_calls(request.tools, last.tool_calls, is_cut=is_cut)
    except InvalidResponse as error:
        raise EngineUnavailable(f"the engine's answer: {error.message}") from error


def _check_vectors(last: GenerationChunk, n_inputs: int, n_output_tokens: int) -> None:
    if n_output_tokens:
        raise EngineUnavailable("the engine made tokens where vectors were asked for")
    try:
        read_vectors(last.text, n_inputs)
    except InvalidResponse as error:
        raise EngineUnavailable(f"the engine's answer: {error.message}") from error
