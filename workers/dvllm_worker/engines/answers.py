"""Holds engines to the port's promises: an answer that breaks them is a fault, not a result."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from decentralized_vllm.protocol.errors import EngineUnavailable
from decentralized_vllm.protocol.generation import GenerationChunk, GenerationRequest
from dvllm_worker.engines.requests import check_request


async def checked_answer(
    request: GenerationRequest,
    open_answer: Callable[[GenerationRequest], AsyncGenerator[GenerationChunk, None]],
) -> AsyncGenerator[GenerationChunk, None]:
    """Passes the chunks of `open_answer` on; closing this iterator closes that one at once.

    Promised are at least one and at most max_tokens tokens, and a finish reason at the end only.
    Raises EngineRefused for a malformed request, EngineUnavailable at the first broken promise.
    """
    check_request(request)
    max_tokens = request.parameters.max_tokens
    n_output_tokens = 0
    async with aclosing(open_answer(request)) as chunks:
        async for chunk in chunks:
            n_output_tokens += len(chunk.token_ids)
            if n_output_tokens > max_tokens:
                raise EngineUnavailable(f"the engine made more than {max_tokens} tokens")
            if chunk.finish_reason is not None and n_output_tokens == 0:
                raise EngineUnavailable("the engine answered without a single token")
            yield chunk
            if chunk.finish_reason is not None:
                return
    raise EngineUnavailable("the engine's answer broke off")
