"""F38-F43: a vLLM server that runs elsewhere hangs, drops, fails or serves another model."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable, SettingError
from decentralized_vllm.protocol.generation import FinishReason
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.vllm_engine import VllmEngine
from tests.support.engines import ask, chat, raw, running
from tests.support.fake_vllm import FakeVllm, running_fake
from tests.support.vllm_engines import engine_of
from tests.support.waiting import wait_until


@pytest.fixture
async def server() -> AsyncIterator[FakeVllm]:
    async with running_fake() as fake:
        yield fake


@pytest.fixture
async def engine(server: FakeVllm) -> AsyncIterator[VllmEngine]:
    async with running(engine_of(server)) as engine:
        yield engine


async def test_answer__healthy_server__read_whole(engine: VllmEngine) -> None:
    answer = await ask(engine, chat(max_tokens=3))
    assert (answer.text, answer.token_ids) == ("abc", [1, 2, 3])
    assert answer.finish_reason is FinishReason.LENGTH


async def test_request__sent__has_no_field_that_could_exhaust_the_server(
    engine: VllmEngine, server: FakeVllm
) -> None:
    await ask(engine, raw(max_tokens=3))
    assert not {"logprobs", "prompt_logprobs", "n", "best_of", "echo"} & set(server.bodies[-1])


@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [
        ("drop", "did not answer"),
        ("end early", "broke off"),
        ("fail", "EngineCore"),
        ("overloaded", "503"),
        ("endless line", "longer than"),
    ],
)
async def test_answer__server_misbehaves__unavailable_then_well_again(
    engine: VllmEngine, server: FakeVllm, behaviour: str, complaint: str
) -> None:
    server.behaviour = behaviour
    with pytest.raises(EngineUnavailable, match=complaint):
        await ask(engine, chat())
    server.behaviour = "well"
    assert (await ask(engine, chat())).text == "abc"


@pytest.mark.parametrize("behaviour", ["quote", "quote in the stream"])
async def test_refusal__quotes_the_prompt__told_at_level_debug_alone(
    engine: VllmEngine, server: FakeVllm, behaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviour = behaviour
    caplog.set_level(logging.DEBUG, "dvllm_worker")
    with pytest.raises(EngineRefused) as refusal:
        await ask(engine, chat("my secret"))
    assert "secret" not in str(refusal.value) and "BadRequestError" in str(refusal.value)
    quoting = [record for record in caplog.records if "my secret" in str(vars(record))]
    assert {record.levelno for record in quoting} == {logging.DEBUG}


async def test_start__server_refuses_our_own_prompt__its_words_are_told(server: FakeVllm) -> None:
    server.behaviour = "quote"
    engine = engine_of(server)
    with pytest.raises(EngineUnavailable, match="cannot use"):
        await engine.start()
    await engine.stop()


@pytest.mark.parametrize("behaviour", ["silent", "hang"])
async def test_answer__server_hangs__unavailable_then_well_again(
    engine: VllmEngine, server: FakeVllm, behaviour: str
) -> None:
    server.behaviour = behaviour
    answers = [asyncio.create_task(ask(engine, chat())) for _ in range(3)]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert {type(each) for each in outcomes} == {EngineUnavailable}
    server.behaviour = "well"
    await wait_until(lambda: engine.is_up, what="the engine to be up again")
    assert (await ask(engine, chat())).text == "abc"


async def test_answer__closed__server_is_told(engine: VllmEngine, server: FakeVllm) -> None:
    server.behaviour = "hang"
    async with aclosing(engine.generate(chat())) as chunks:
        await anext(chunks)
        assert server.n_open == 1
    await wait_until(lambda: server.n_open == 0, what="the server to see the connection closed")


async def test_answer__more_tokens_than_asked_for__unavailable(engine: VllmEngine) -> None:
    with pytest.raises(EngineUnavailable, match="more than 2"):
        await ask(engine, chat(max_tokens=2))


async def test_answer__beyond_the_context__asked_again_for_what_fits(
    engine: VllmEngine, server: FakeVllm
) -> None:
    assert (await ask(engine, chat(max_tokens=500))).text == "abc"
    assert [body["max_tokens"] for body in server.bodies[-2:]] == [500, 10]


async def test_model__changed_under_us__unavailable_until_it_is_back(
    engine: VllmEngine, server: FakeVllm
) -> None:
    server.model = "other"
    with pytest.raises(EngineUnavailable, match="'other'"):
        await ask(engine, chat())
    await wait_until(lambda: not engine.is_up, what="the engine to be given up")
    assert not await engine.is_healthy()
    with pytest.raises(EngineUnavailable, match="down"):
        await ask(engine, chat())
    server.model = "m"
    await wait_until(lambda: engine.is_up, what="the engine to be up again")
    assert (await ask(engine, chat())).text == "abc"


async def test_start__another_model__names_the_setting(server: FakeVllm) -> None:
    server.model = "other"
    engine = engine_of(server)
    with pytest.raises(SettingError, match=r"engine\.served_model.*serves other, not m"):
        await engine.start()
    await engine.stop()


async def test_start__server_names_the_model_otherwise__setting_tells(server: FakeVllm) -> None:
    server.model = "other"
    async with running(engine_of(server, served_model="other")) as engine:
        assert (await ask(engine, chat())).text == "abc"
        assert engine.identity().device == "unknown"


async def test_start__no_server__unavailable(server: FakeVllm) -> None:
    server.behaviour = "sick"
    engine = engine_of(server)
    with pytest.raises(EngineUnavailable, match=r"engine\.url"):
        await engine.start()
    await engine.stop()


async def test_health__sick_server__unhealthy(engine: VllmEngine, server: FakeVllm) -> None:
    assert await engine.is_healthy()
    server.behaviour = "sick"
    assert not await engine.is_healthy()


async def test_start__environment_without_vllm__names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    settings = EngineSettings(python=tmp_path / "no-python")
    with pytest.raises(SettingError, match=r"engine\.python"):
        await VllmEngine(settings, tmp_path, "m").start()
