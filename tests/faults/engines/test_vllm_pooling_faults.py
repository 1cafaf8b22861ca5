"""A vLLM server that makes vectors: what it is found out to be, and what it does wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from decentralized_vllm.protocol.embeddings import read_vectors
from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable, PromptTooLong
from decentralized_vllm.protocol.generation import (
    Feature,
    GenerationRequest,
    SamplingParameters,
)
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.vllm_embedding import MAX_BATCH_INPUTS
from dvllm_worker.engines.vllm_engine import VllmEngine
from tests.support.engines import ask, chat, raw, running
from tests.support.fake_vllm import FakeVllm, running_fake
from tests.support.sentence_model import flags, make_sentence_model
from tests.support.vllm_engines import engine_of
from tests.support.waiting import wait_until


def vectors_of(*texts: str) -> GenerationRequest:
    return GenerationRequest("r", SamplingParameters(max_tokens=1), inputs=texts)


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with running_fake() as fake:
        fake.is_pooling = True
        yield fake


@pytest.fixture
async def engine(server: FakeVllm) -> AsyncIterator[VllmEngine]:
    async with running(engine_of(server)) as engine:
        yield engine


async def test_start__pooling_server__announces_vectors_only(engine: VllmEngine) -> None:
    assert engine.features == {Feature.EMBEDDINGS}


@pytest.mark.parametrize("request_", [chat(), raw()])
async def test_text__of_a_pooling_server__refused_unasked(
    engine: VllmEngine, server: FakeVllm, request_: GenerationRequest
) -> None:
    n_asked = len(server.bodies)
    with pytest.raises(EngineRefused, match="no text"):
        await ask(engine, request_)
    assert len(server.bodies) == n_asked


async def test_vectors__of_a_generating_server__refused_unasked(server: FakeVllm) -> None:
    server.is_pooling = False
    async with running(engine_of(server)) as engine:
        n_asked = len(server.bodies)
        assert Feature.EMBEDDINGS not in engine.features
        with pytest.raises(EngineRefused, match="embeddings"):
            await ask(engine, vectors_of("a"))
        assert len(server.bodies) == n_asked


async def test_vectors__many_texts__in_batches_and_in_order(
    engine: VllmEngine, server: FakeVllm
) -> None:
    """The fake's first number is the text's length beside a one, and it counts characters."""
    texts = ["x" * (number + 1) for number in range(3 * MAX_BATCH_INPUTS)]
    n_asked = len(server.bodies)
    answer = await ask(engine, vectors_of(*texts))
    vectors = read_vectors(answer.text, len(texts))
    assert [round(first / second) for first, second in vectors] == [len(text) for text in texts]
    assert answer.chunks[0].n_prompt_tokens == sum(map(len, texts))
    assert len(server.bodies) - n_asked == 3


@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [("overloaded", "503"), ("drop", "did not answer"), ("fewer", "texts in order")],
)
async def test_vectors__server_misbehaves__unavailable_then_well_again(
    engine: VllmEngine, server: FakeVllm, behaviour: str, complaint: str
) -> None:
    server.behaviour = behaviour
    texts = ["a"] * (2 * MAX_BATCH_INPUTS)
    with pytest.raises(EngineUnavailable, match=complaint):
        await ask(engine, vectors_of(*texts))
    server.behaviour = "well"
    assert read_vectors((await ask(engine, vectors_of(*texts))).text, len(texts))


async def test_vectors__text_too_long__is_told_as_that(engine: VllmEngine) -> None:
    with pytest.raises(PromptTooLong, match="context"):
        await ask(engine, vectors_of("a", "x" * 501))
    assert (await ask(engine, vectors_of("a", "x" * 500))).text


async def test_vectors__refused_for_another_reason__is_not_too_long(engine: VllmEngine) -> None:
    with pytest.raises(EngineRefused) as refusal:
        await ask(engine, vectors_of("a", "refused"))
    assert not isinstance(refusal.value, PromptTooLong)


async def test_vectors__server_hangs__unavailable_then_well_again(
    engine: VllmEngine, server: FakeVllm
) -> None:
    server.behaviour = "silent"
    with pytest.raises(EngineUnavailable):
        await ask(engine, vectors_of("a"))
    server.behaviour = "well"
    await wait_until(lambda: engine.is_up, what="the engine to be up again")
    assert (await ask(engine, vectors_of("a"))).text


async def test_vectors__cancelled__server_is_told(engine: VllmEngine, server: FakeVllm) -> None:
    server.behaviour = "silent"
    asked = asyncio.create_task(ask(engine, vectors_of("a")))
    await wait_until(lambda: server.n_open == 1, what="the server to be asked")
    asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked
    await wait_until(lambda: server.n_open == 0, what="the server to see the connection closed")
    assert engine.is_up


async def test_server__begins_to_pool__is_found_out(server: FakeVllm) -> None:
    server.is_pooling = False
    async with running(engine_of(server)) as engine:
        server.is_pooling = True
        with pytest.raises(EngineUnavailable, match="404"):
            await ask(engine, chat())
        await wait_until(
            lambda: engine.features == {Feature.EMBEDDINGS},
            what="a pooling server to be found",
        )
        assert (await ask(engine, vectors_of("a"))).text


async def test_start__pooling_set_but_the_server_writes__says_so(server: FakeVllm) -> None:
    server.is_pooling = False
    engine = engine_of(server, pooling={"m": "mean"})
    with pytest.raises(EngineUnavailable, match=r"makes no vectors.*engine\.pooling"):
        await engine.start()
    await engine.stop()


async def test_start__server_makes_neither__tells_both_answers(server: FakeVllm) -> None:
    server.behaviour = "overloaded"
    engine = engine_of(server)
    with pytest.raises(EngineUnavailable, match=r"no text \(.*404.*no vectors \(.*503"):
        await engine.start()
    await engine.stop()


async def test_vectors__model_without_normalize__as_long_as_the_server_sends_them(
    server: FakeVllm, tmp_path: Path
) -> None:
    make_sentence_model(tmp_path, flags(mean_tokens=True))
    async with running(VllmEngine(EngineSettings(url=server.url), tmp_path, "m")) as engine:
        answer = await ask(engine, vectors_of("abc", "abcdef"))
    assert read_vectors(answer.text, 2) == [(3.0, 1.0), (6.0, 1.0)]


async def test_start__model_says_vectors_but_the_server_writes__says_so(
    server: FakeVllm, tmp_path: Path
) -> None:
    make_sentence_model(tmp_path, flags(mean_tokens=True))
    server.is_pooling = False
    engine = VllmEngine(EngineSettings(url=server.url), tmp_path, "m")
    with pytest.raises(EngineUnavailable, match=r"makes no vectors.*the model's own files"):
        await engine.start()
    await engine.stop()
