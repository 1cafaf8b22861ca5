"""Real engines for tests, and requests to put to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.protocol.generation import (
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    Message,
    SamplingParameters,
)
from decentralized_vllm.protocol.ports import Engine
from dvllm_devnet.models.smollm2 import smollm2_model
from dvllm_devnet.models.tiny import TinyDtype, tiny_model

CHECKOUT = Path(__file__).parents[2]
MODEL_CACHE = CHECKOUT / ".cache" / "models"  # models are the same for every run
VLLM_PYTHON = CHECKOUT / ".venv-vllm" / "bin" / "python"


def tiny_model_path(dtype: TinyDtype = "float32", seed: int = 0) -> Path:
    """In float32 by default: greedy answers are then the same alone, in a batch, on each engine."""
    return tiny_model(MODEL_CACHE, dtype=dtype, seed=seed)


def smollm2_model_path() -> Path:
    return smollm2_model(MODEL_CACHE)


def vllm_python() -> Path:
    """Skips the test where the environment was not made."""
    if not VLLM_PYTHON.exists():
        pytest.skip("no vLLM environment: make .venv-vllm")
    return VLLM_PYTHON


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[Any]:
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop()


def chat(text: str = "name", **parameters: Any) -> GenerationRequest:
    """The tiny model goes on and on about this text. Greedy, so the same each time."""
    chosen = SamplingParameters(**{"temperature": 0.0, **parameters})
    return GenerationRequest("test", chosen, messages=(Message("user", text),))


def raw(text: str = "hello there", **parameters: Any) -> GenerationRequest:
    chosen = SamplingParameters(**{"temperature": 0.0, **parameters})
    return GenerationRequest("test", chosen, prompt=text)


class Answer:
    """All chunks of one answer together."""

    def __init__(self, chunks: list[GenerationChunk]) -> None:
        self.chunks = chunks
        self.text = "".join(chunk.text for chunk in chunks)
        self.token_ids = [each for chunk in chunks for each in chunk.token_ids]

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.chunks[-1].finish_reason


async def ask(engine: Engine, request: GenerationRequest) -> Answer:
    return Answer([chunk async for chunk in engine.generate(request)])
