"""What a vLLM server turns out to be, once it answers: its version, and what it makes."""

import asyncio
from dataclasses import dataclass

from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable
from decentralized_vllm.protocol.generation import GenerationRequest, SamplingParameters
from dvllm_worker.engines.process import ChildProcess
from dvllm_worker.engines.vllm_api import VllmApi

# The first answer of a fresh server takes seconds longer than the next: not a requester's.
WARM_UP = GenerationRequest("warm-up", SamplingParameters(max_tokens=2), prompt="hello")
WARM_UP_INPUTS = ("hello",)


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """One server makes either text or vectors."""

    version: str
    makes_vectors: bool


async def make_acquaintance(
    api: VllmApi, child: ChildProcess | None, *, wants_vectors: bool
) -> Acquaintance:
    """Waits for the server and has it answer once; it must serve our model, and in a way we know.

    Which of the two it makes is found by asking: no page of vLLM tells it in every version.
    """
    await wait_until_well(api, child)
    await api.check_model()
    if wants_vectors:
        await _warm_up_vectors(api)
    makes_vectors = wants_vectors or await _makes_vectors(api)
    return Acquaintance(await api.version(), makes_vectors)


async def wait_until_well(api: VllmApi, child: ChildProcess | None, every_s: float = 0.5) -> None:
    """Until the server answers. Raises EngineUnavailable if our own server ends before it does."""
    while not await api.is_well():
        if child is None:
            raise EngineUnavailable("the vLLM server does not answer", hint="see engine.url")
        if not child.is_running:
            raise EngineUnavailable(f"the model did not load: the server {await child.ended()}")
        await asyncio.sleep(every_s)


async def _makes_vectors(api: VllmApi) -> bool:
    try:
        await _warm_up_text(api)
        return False
    except (EngineRefused, EngineUnavailable) as no_text:
        try:
            await api.embed(WARM_UP_INPUTS, is_ours=True)
            return True
        except (EngineRefused, EngineUnavailable) as no_vectors:
            raise EngineUnavailable(
                f"the server makes no text ({no_text}) and no vectors ({no_vectors})"
            ) from no_text


async def _warm_up_text(api: VllmApi) -> None:
    max_tokens = WARM_UP.parameters.max_tokens
    async for _ in api.answer(WARM_UP, max_tokens, lambda: None, is_ours=True):
        pass


async def _warm_up_vectors(api: VllmApi) -> None:
    try:
        await api.embed(WARM_UP_INPUTS, is_ours=True)
    except (EngineRefused, EngineUnavailable) as error:
        raise EngineUnavailable(
            f"the server makes no vectors: {error}",
            hint="the model's own files, or engine.pooling, say it makes them",
        ) from error
