"""Holds engines to the port's promises: an answer that breaks them is a fault, not a result."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from decentralized_vllm.protocol.errors import EngineUnavailable
from decentralized_vllm.protocol.generation import GenerationChunk


async def checked_answer(
    chunks: AsyncGenerator[GenerationChunk, None], *, max_tokens: int
) -> AsyncIterator[GenerationChunk]:
    """Passes the chunks on. Raises EngineUnavailable at the first broken promise.

    Promised are at least one and at most `max_tokens` tokens, and a finish reason at the end only.
    """
    n_output_tokens = 0
    async with aclosing(chunks):
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
