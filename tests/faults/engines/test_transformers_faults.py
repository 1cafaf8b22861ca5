"""F37-F40: the child of the transformers engine dies, hangs or is fed bad weights."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from decentralized_vllm.protocol.errors import (
    EngineRefused,
    EngineUnavailable,
    PromptTooLong,
    UnsafeModel,
)
from decentralized_vllm.protocol.generation import GenerationRequest
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.supervisor import Backoff
from dvllm_worker.engines.transformers_engine import TransformersEngine
from tests.support.engines import ask, chat, raw, running, tiny_model_path
from tests.support.tiny_bert import make_tiny_bert
from tests.support.waiting import is_alive, wait_until

BACKOFF = Backoff(first_s=0.01)


def make_engine(model_path: Path | None = None, **settings: Any) -> TransformersEngine:
    chosen = EngineSettings.model_validate({"threads": 1, **settings})
    return TransformersEngine(chosen, model_path or tiny_model_path(), backoff=BACKOFF)


@pytest.fixture
async def engine() -> AsyncIterator[TransformersEngine]:
    async with running(make_engine(token_timeout_s=2)) as engine:
        yield engine


def child_pid(engine: TransformersEngine) -> int:
    assert engine.child_pid is not None
    return engine.child_pid


async def wait_for_fresh_child(engine: TransformersEngine, old_pid: int) -> None:
    await wait_until(lambda: engine.child_pid not in (None, old_pid), what="a fresh child")


async def disturb(
    engine: TransformersEngine, request: GenerationRequest, number: signal.Signals
) -> None:
    """Sends the child a signal right after the first token, then reads on."""
    async with aclosing(engine.generate(request)) as chunks:
        await anext(chunks)
        os.kill(child_pid(engine), number)
        async for _ in chunks:
            pass


@pytest.fixture
def broken_model(tmp_path: Path) -> Path:
    """A copy of the tiny model to be broken."""
    return Path(shutil.copytree(tiny_model_path(), tmp_path / "model"))


async def test_child__killed_in_an_answer__unavailable_then_recovers(
    engine: TransformersEngine,
) -> None:
    expected = await ask(engine, chat(max_tokens=8))
    pid = child_pid(engine)
    with pytest.raises(EngineUnavailable, match="SIGKILL"):
        await disturb(engine, chat(max_tokens=900), signal.SIGKILL)
    await wait_for_fresh_child(engine, pid)
    assert (await ask(engine, chat(max_tokens=8))).token_ids == expected.token_ids


async def test_child__killed__every_answer_under_way_or_waiting_fails(
    engine: TransformersEngine,
) -> None:
    tasks = [asyncio.create_task(ask(engine, chat(max_tokens=900))) for _ in range(5)]
    await asyncio.sleep(0.05)
    os.kill(child_pid(engine), signal.SIGKILL)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in outcomes} == {EngineUnavailable}


async def test_child__hangs_in_an_answer__killed_and_replaced(engine: TransformersEngine) -> None:
    pid = child_pid(engine)
    with pytest.raises(EngineUnavailable, match="no token for 2 s"):
        await disturb(engine, chat(max_tokens=900), signal.SIGSTOP)
    await wait_for_fresh_child(engine, pid)
    assert not is_alive(pid)
    assert len((await ask(engine, chat(max_tokens=8))).token_ids) == 8


async def test_child__hangs_after_a_cancel__killed_and_replaced(
    engine: TransformersEngine,
) -> None:
    pid = child_pid(engine)
    async with aclosing(engine.generate(chat(max_tokens=900))) as chunks:
        await anext(chunks)
        os.kill(pid, signal.SIGSTOP)
    await wait_for_fresh_child(engine, pid)
    assert len((await ask(engine, chat(max_tokens=8))).token_ids) == 8


async def test_child__idle_and_slow_to_be_asked__left_alone(engine: TransformersEngine) -> None:
    pid = child_pid(engine)
    await asyncio.sleep(2.5)
    assert len((await ask(engine, chat(max_tokens=8))).token_ids) == 8
    assert child_pid(engine) == pid


async def test_stop__in_an_answer__unavailable_and_no_child_left() -> None:
    async with running(make_engine()) as engine:
        pid = child_pid(engine)
        task = asyncio.create_task(ask(engine, chat(max_tokens=900)))
        await asyncio.sleep(0.05)
    with pytest.raises(EngineUnavailable):
        await task
    assert not is_alive(pid)


async def test_prompt__longer_than_a_line_may_be__refused_and_child_unharmed(
    engine: TransformersEngine,
) -> None:
    pid = child_pid(engine)
    with pytest.raises(PromptTooLong, match="too large"):
        await ask(engine, raw("x" * (17 << 20)))
    assert len((await ask(engine, chat(max_tokens=8))).token_ids) == 8
    assert child_pid(engine) == pid


async def test_scores__not_a_number__unavailable_and_no_text(broken_model: Path) -> None:
    weights = load_file(broken_model / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, broken_model / "model.safetensors", metadata={"format": "pt"})
    async with running(make_engine(broken_model)) as engine:
        with pytest.raises(EngineUnavailable, match="not finite"):
            await ask(engine, chat())


async def test_start__weights_cut_short__child_tells_why(broken_model: Path) -> None:
    weights = broken_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    engine = make_engine(broken_model)
    with pytest.raises(EngineUnavailable, match=r"did not load(?s:.)*safetensor"):
        await engine.start()
    await engine.stop()


async def test_start__model_that_only_makes_vectors__child_tells_why(tmp_path: Path) -> None:
    make_tiny_bert(tmp_path)
    engine = make_engine(tmp_path)
    with pytest.raises(EngineUnavailable, match=r"did not load(?s:.)*not made to write text"):
        await engine.start()
    await engine.stop()


async def test_start__takes_too_long__unavailable_and_no_child_left() -> None:
    engine = make_engine(start_timeout_s=0.2)
    with pytest.raises(EngineUnavailable, match="start_timeout_s"):
        await engine.start()
    assert engine.child_pid is None


async def test_start__model_with_code__refused_before_any_child(broken_model: Path) -> None:
    (broken_model / "modeling_tiny.py").write_text("raise SystemExit")
    with pytest.raises(UnsafeModel):
        await make_engine(broken_model).start()


async def test_template__rejects_the_messages__refused_and_child_unharmed(
    broken_model: Path,
) -> None:
    (broken_model / "chat_template.jinja").write_text("{{ raise_exception('roles alternate') }}")
    async with running(make_engine(broken_model)) as engine:
        pid = child_pid(engine)
        with pytest.raises(EngineRefused, match="roles alternate"):
            await ask(engine, chat())
        assert len((await ask(engine, raw(max_tokens=8))).token_ids) == 8
        assert child_pid(engine) == pid


async def test_template__reaches_for_the_interpreter__refused(broken_model: Path) -> None:
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    (broken_model / "chat_template.jinja").write_text(escape)
    async with running(make_engine(broken_model)) as engine:
        with pytest.raises(EngineRefused, match="SecurityError"):
            await ask(engine, chat())


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0]['content'] + 1 }}",
        "{% for _ in range(10 ** 9) %}{% endfor %}",
        "{{ raise_exception('not this: ' + messages[0]['content']) }}",
        "{{ messages[messages[0]['content']]['a'] }}",
    ],
)
async def test_template__fails_in_any_way__refused_without_the_prompt_and_child_unharmed(
    broken_model: Path, template: str
) -> None:
    (broken_model / "chat_template.jinja").write_text(template)
    async with running(make_engine(broken_model)) as engine:
        pid = child_pid(engine)
        with pytest.raises(EngineRefused, match="chat template rejects") as refusal:
            await ask(engine, chat("my secret"))
        assert "my secret" not in str(refusal.value)
        assert len((await ask(engine, raw(max_tokens=8))).token_ids) == 8
        assert child_pid(engine) == pid


async def test_template__missing__plain_lines_instead(broken_model: Path) -> None:
    (broken_model / "chat_template.jinja").unlink()
    async with running(make_engine(broken_model)) as engine:
        by_chat = await ask(engine, chat("hello", max_tokens=8))
        by_prompt = await ask(engine, raw("user: hello\nassistant:", max_tokens=8))
    assert by_chat.token_ids == by_prompt.token_ids
