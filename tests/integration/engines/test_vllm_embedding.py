"""A real vLLM server makes vectors, the same as the transformers engine does of the model."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from decentralized_vllm.protocol.embeddings import Vector, read_vectors
from decentralized_vllm.protocol.errors import EngineRefused, PromptTooLong
from decentralized_vllm.protocol.generation import (
    Feature,
    GenerationRequest,
    SamplingParameters,
)
from dvllm_devnet.models.tiny import TINY_CONTEXT_TOKENS
from dvllm_worker.engines.settings import EngineSettings, Pooling
from dvllm_worker.engines.transformers_engine import TransformersEngine
from dvllm_worker.engines.vllm_engine import VllmEngine
from tests.support.engines import (
    Answer,
    ask,
    chat,
    raw,
    running,
    smollm2_model_path,
    tiny_model_path,
    vllm_python,
)
from tests.support.tiny_bert import make_tiny_bert

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.vllm,
    pytest.mark.timeout(600),
]

TEXTS = ("The cat sleeps on the sofa.", "A kitten naps on the couch.", "Taxes rise.", "名前")
ABOUT = ("The cat sleeps on the sofa.", "A kitten naps on the couch.", "Taxes rise in spring.")


def vectors_of(*texts: str) -> GenerationRequest:
    return GenerationRequest("r", SamplingParameters(max_tokens=1), inputs=texts)


def vllm_engine(path: Path, pooling: Pooling | None, dtype: str = "auto") -> VllmEngine:
    settings = EngineSettings.model_validate(
        {
            "python": vllm_python(),
            "threads": 1,
            "pooling": {"m": pooling} if pooling else {},
            "dtype": dtype,
        }
    )
    return VllmEngine(settings, path, "m")


async def by_transformers(path: Path, pooling: Pooling, *texts: str) -> Answer:
    engine = TransformersEngine(EngineSettings(threads=1), path, pooling=pooling)
    async with running(engine):
        return await ask(engine, vectors_of(*texts))


def likeness(one: Vector, other: Vector) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def likenesses(one: Answer, other: Answer, n_texts: int) -> list[float]:
    pairs = zip(read_vectors(one.text, n_texts), read_vectors(other.text, n_texts), strict=True)
    return [likeness(x, y) for x, y in pairs]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[VllmEngine]:
    async with running(vllm_engine(tiny_model_path(), "mean", "float32")) as built:
        yield built


async def test_features__pooling_server__vectors_and_no_text(engine: VllmEngine) -> None:
    assert engine.features == {Feature.EMBEDDINGS}
    assert await engine.is_healthy()
    for request in (chat(max_tokens=2), raw(max_tokens=2)):
        with pytest.raises(EngineRefused, match="no text"):
            await ask(engine, request)


async def test_vectors__model_that_writes__same_as_of_transformers(engine: VllmEngine) -> None:
    answer = await ask(engine, vectors_of(*TEXTS))
    other = await by_transformers(tiny_model_path(), "mean", *TEXTS)
    assert likenesses(answer, other, len(TEXTS)) == pytest.approx([1] * len(TEXTS), abs=1e-5)
    assert answer.chunks[0].n_prompt_tokens == other.chunks[0].n_prompt_tokens
    assert answer.token_ids == []


async def test_vectors__as_many_as_a_prompt_holds__each_of_its_text(engine: VllmEngine) -> None:
    texts = [f"story {number} " * (1 + number % 20) for number in range(256)]
    whole = read_vectors((await ask(engine, vectors_of(*texts))).text, len(texts))
    for number in (0, 31, 32, 255):
        (alone,) = read_vectors((await ask(engine, vectors_of(texts[number]))).text, 1)
        assert likeness(alone, whole[number]) == pytest.approx(1, abs=1e-5)
    assert {round(math.hypot(*vector), 5) for vector in whole} == {1}


async def test_vectors__jobs_at_once__none_mixed_up(engine: VllmEngine) -> None:
    texts = [f"story {number}" for number in range(40)]
    alone = read_vectors((await ask(engine, vectors_of(*texts))).text, len(texts))
    together = await asyncio.gather(*(ask(engine, vectors_of(text)) for text in texts))
    for vector, answer in zip(alone, together, strict=True):
        assert likeness(vector, read_vectors(answer.text, 1)[0]) == pytest.approx(1, abs=1e-5)


async def test_vectors__text_over_the_context__refused(engine: VllmEngine) -> None:
    with pytest.raises(PromptTooLong, match="context"):
        await ask(engine, vectors_of("a", "fox " * TINY_CONTEXT_TOKENS))
    assert (await ask(engine, vectors_of("a"))).text


@pytest.mark.long
async def test_smollm2__last_states__same_as_of_transformers() -> None:
    async with running(vllm_engine(smollm2_model_path(), "last")) as engine:
        answer = await ask(engine, vectors_of(*ABOUT))
    other = await by_transformers(smollm2_model_path(), "last", *ABOUT)
    assert min(likenesses(answer, other, len(ABOUT))) > 0.99  # bfloat16
    means = await by_transformers(smollm2_model_path(), "mean", *ABOUT)
    assert max(likenesses(answer, means, len(ABOUT))) < 0.99


@pytest.mark.long
async def test_bert__no_setting__is_found_to_make_vectors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_tiny_bert(tmp_path)
    async with running(vllm_engine(tmp_path, None)) as engine:
        assert engine.features == {Feature.EMBEDDINGS}
        answer = await ask(engine, vectors_of("a cat", "the kitten naps"))
        with pytest.raises(EngineRefused, match="no text"):
            await ask(engine, chat(max_tokens=2))
    assert [len(vector) for vector in read_vectors(answer.text, 2)] == [64, 64]
    assert answer.chunks[0].n_prompt_tokens == 4 + 5
    assert "engine_pooling_assumed" in caplog.messages
