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
    PromptTokenLogprob,
)
from decentralized_vllm.protocol.logprobs import check_prompt_logprobs
from decentralized_vllm.protocol.tools import check_calls
from dvllm_worker.engines.requests import check_rated_length, check_request


async def checked_answer(
    request: GenerationRequest,
    open_answer: Callable[[GenerationRequest], AsyncGenerator[GenerationChunk, None]],
    features: frozenset[Feature],
) -> AsyncGenerator[GenerationChunk, None]:
    """Passes the chunks of `open_answer` on; closing this iterator closes that one at once.

    Promised are at least one and at most max_tokens tokens, a finish reason at the end only,
    log-probabilities of every token if they are asked for, the prompt's own included, and calls as
    the tools allow; of inputs their vectors in one chunk, and no tokens. Token ids are read as they
    are. Raises EngineRefused for a request that is malformed or beyond `features`, PromptTooLong
    for one with more tokens than are rated, EngineUnavailable at the first broken promise.
    """
    check_request(request, features)
    tally = _Tally(request)
    async with aclosing(open_answer(request)) as chunks:
        async for chunk in chunks:
            tally.add(chunk)
            if chunk.finish_reason is not None:
                _check_end(request, chunk, tally.n_output_tokens)
                tally.check_prompt(chunk.n_prompt_tokens)
            yield chunk
            if chunk.finish_reason is not None:
                return
    raise EngineUnavailable("the engine's answer broke off")


class _Tally:
    """Counts what an engine tells of one answer."""

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self._rated_prompt: list[PromptTokenLogprob] = []
        self.n_output_tokens = 0

    def add(self, chunk: GenerationChunk) -> None:
        parameters = self._request.parameters
        self.n_output_tokens += len(chunk.token_ids)
        self._rated_prompt += chunk.prompt_logprobs
        n_to_rate = len(chunk.token_ids) if parameters.logprobs is not None else 0
        if len(chunk.logprobs) != n_to_rate:
            raise EngineUnavailable("the engine did not rate each of its tokens")
        if self.n_output_tokens > parameters.max_tokens:
            raise EngineUnavailable(f"the engine made more than {parameters.max_tokens} tokens")
        if self._rated_prompt:
            check_rated_length(self._request, len(self._rated_prompt))

    def check_prompt(self, n_prompt_tokens: int) -> None:
        given = self._request.token_ids
        if given is not None and len(given) != n_prompt_tokens:
            raise EngineUnavailable(
                f"the engine read {n_prompt_tokens} tokens where {len(given)} were given"
            )
        n_to_rate = n_prompt_tokens if self._request.parameters.prompt_logprobs else 0
        try:
            check_prompt_logprobs(self._rated_prompt, n_to_rate)
        except InvalidResponse as error:
            raise EngineUnavailable(f"the engine's answer: {error.message}") from error


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
