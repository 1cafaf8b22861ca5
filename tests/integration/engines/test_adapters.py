"""What every engine promises, held against each real one with the tiny model."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
from tokenizers import Tokenizer

from decentralized_vllm.protocol.errors import EngineRefused, PromptTooLong
from decentralized_vllm.protocol.generation import (
    Feature,
    FinishReason,
    GenerationRequest,
    ResponseFormat,
)
from decentralized_vllm.protocol.json_schemas import schema_format
from dvllm_devnet.models.tiny import TINY_CONTEXT_TOKENS
from dvllm_worker.engines.factory import BuiltEngine, build_engine
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.token_text import REPLACEMENT
from tests.support.engines import ask, chat, raw, running, tiny_model_path, vllm_python

pytestmark = pytest.mark.asyncio(loop_scope="module")

# "<|im_end|>" of the tiny model, and what its chat template puts around "name".
END_ID = 2
RENDERED = "<|im_start|>user\nname<|im_end|>\n<|im_start|>assistant\n"


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["transformers", pytest.param("vllm", marks=pytest.mark.vllm)],
)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[BuiltEngine]:
    python = vllm_python() if request.param == "vllm" else None
    settings = EngineSettings(kind=request.param, python=python, dtype="float32", threads=1)
    built = build_engine(
        settings, model_path=tiny_model_path(), model_name="tiny", is_local_chain=True
    )
    async with running(built):
        yield built


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(tiny_model_path() / "tokenizer.json"))


async def test_identity__running__tells_what_computes(engine: BuiltEngine) -> None:
    identity = engine.identity()
    assert identity.name in ("transformers", "vllm")
    assert identity.version[0].isdigit()
    assert (identity.dtype, identity.device) == ("float32", "cpu")
    assert await engine.is_healthy()
    assert not engine.is_for_tests


async def test_generate__greedy__same_tokens_every_time(engine: BuiltEngine) -> None:
    first, second = await ask(engine, chat(max_tokens=20)), await ask(engine, chat(max_tokens=20))
    assert first.token_ids == second.token_ids
    assert len(first.token_ids) == 20
    assert first.finish_reason is FinishReason.LENGTH


async def test_generate__long_answer__streams_and_finishes_once(engine: BuiltEngine) -> None:
    answer = await ask(engine, chat(max_tokens=50))
    assert len(answer.chunks) > 10
    assert [chunk.finish_reason for chunk in answer.chunks[:-1]] == [None] * (
        len(answer.chunks) - 1
    )


async def test_generate__messages__same_as_the_rendered_template(
    engine: BuiltEngine, tokenizer: Tokenizer
) -> None:
    by_chat = await ask(engine, chat("name", max_tokens=20))
    by_prompt = await ask(engine, raw(RENDERED, max_tokens=20))
    assert by_chat.token_ids == by_prompt.token_ids
    n_prompt_tokens = len(tokenizer.encode(RENDERED).ids)
    assert {chunk.n_prompt_tokens for chunk in by_chat.chunks} == {n_prompt_tokens}


@pytest.mark.parametrize("number", range(4))
async def test_text__any_answer__is_the_decoded_tokens(
    engine: BuiltEngine, tokenizer: Tokenizer, number: int
) -> None:
    answer = await ask(engine, raw(f"story {number}", max_tokens=60, temperature=1.0, seed=number))
    decoded = tokenizer.decode(answer.token_ids, skip_special_tokens=True)
    # vLLM drops bytes at the very end that never became a character; we show them as one.
    assert answer.text.rstrip("\ufffd") == decoded.rstrip("\ufffd")


async def test_stop__string_in_the_answer__cut_before_it(engine: BuiltEngine) -> None:
    whole = await ask(engine, raw(max_tokens=40))
    stop = whole.text[10:14]
    answer = await ask(engine, raw(max_tokens=40, stop=(stop, "never to be seen")))
    assert answer.text == whole.text[: whole.text.index(stop)]
    assert answer.finish_reason is FinishReason.STOP
    assert answer.token_ids == whole.token_ids[: len(answer.token_ids)]


async def test_stop__end_token__counted_but_not_shown(engine: BuiltEngine) -> None:
    answer = await ask(engine, chat("hello there", max_tokens=100))
    assert answer.finish_reason is FinishReason.STOP
    assert answer.token_ids.index(END_ID) == len(answer.token_ids) - 1
    assert "<|im_end|>" not in answer.text


async def test_seed__same_and_other__same_and_other_answer(engine: BuiltEngine) -> None:
    def sampled(seed: int | None) -> GenerationRequest:
        return raw(max_tokens=20, temperature=1.0, seed=seed)

    first, again = await ask(engine, sampled(7)), await ask(engine, sampled(7))
    other, unseeded = await ask(engine, sampled(8)), await ask(engine, sampled(None))
    assert first.token_ids == again.token_ids
    assert len({tuple(each.token_ids) for each in (first, other, unseeded)}) == 3


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}])
async def test_sampling__narrowed_to_one_token__greedy(
    engine: BuiltEngine, narrow: dict[str, float]
) -> None:
    greedy = await ask(engine, raw(max_tokens=20))
    sampled = await ask(engine, raw(max_tokens=20, temperature=1.5, seed=1, **narrow))
    assert sampled.token_ids == greedy.token_ids


async def test_context__prompt_too_long__refused(engine: BuiltEngine) -> None:
    with pytest.raises(PromptTooLong):
        await ask(engine, raw("fox " * TINY_CONTEXT_TOKENS, max_tokens=1))


async def test_context__answer_would_not_fit__gets_the_room_there_is(
    engine: BuiltEngine, tokenizer: Tokenizer
) -> None:
    prompt = "fox " * 450
    n_prompt_tokens = len(tokenizer.encode(prompt).ids)
    assert n_prompt_tokens < TINY_CONTEXT_TOKENS
    answer = await ask(engine, raw(prompt, max_tokens=10 * TINY_CONTEXT_TOKENS))
    assert answer.chunks[0].n_prompt_tokens == n_prompt_tokens
    if answer.finish_reason is FinishReason.LENGTH:
        assert n_prompt_tokens + len(answer.token_ids) == TINY_CONTEXT_TOKENS


@pytest.mark.parametrize("parameters", [{"max_tokens": 0}, {"top_p": 2.0}, {"seed": -1}])
async def test_generate__malformed__refused(
    engine: BuiltEngine, parameters: dict[str, float]
) -> None:
    with pytest.raises(EngineRefused):
        await ask(engine, chat(**parameters))


async def test_generate__more_than_slots_at_once__same_answers_as_alone(
    engine: BuiltEngine,
) -> None:
    alone = [await ask(engine, chat(f"story {n}", max_tokens=16)) for n in range(8)]
    together = await asyncio.gather(
        *(ask(engine, chat(f"story {n % 8}", max_tokens=16)) for n in range(80))
    )
    for n, answer in enumerate(together):
        assert answer.token_ids == alone[n % 8].token_ids


async def test_close__in_the_middle__slots_are_free_again(engine: BuiltEngine) -> None:
    for _ in range(3 * engine.n_slots):
        async with aclosing(engine.generate(chat(max_tokens=900))) as chunks:
            await anext(chunks)
    assert len((await ask(engine, chat(max_tokens=4))).token_ids) == 4


async def test_cancel__waiting_and_running__others_unharmed(engine: BuiltEngine) -> None:
    expected = await ask(engine, chat(max_tokens=30))
    tasks = [
        asyncio.create_task(ask(engine, chat(max_tokens=900))) for _ in range(engine.n_slots + 2)
    ]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (await ask(engine, chat(max_tokens=30))).token_ids == expected.token_ids


async def test_engines__greedy__agree_with_what_was_recorded(engine: BuiltEngine) -> None:
    """Both engines give one model's one answer: these ids were made by either."""
    answer = await ask(engine, chat("hello there 名前", max_tokens=12))
    assert answer.token_ids == [383, 59, 357, 53, 448, 436, 380, 362, 393, 449, 494, 451]


@pytest.mark.parametrize("ask_for", [chat, raw])
@pytest.mark.parametrize("n_top", [0, 3])
async def test_logprobs__of_each_token__with_as_many_of_the_likeliest(
    engine: BuiltEngine, ask_for: Any, n_top: int
) -> None:
    answer = await ask(engine, ask_for(max_tokens=8, logprobs=n_top))
    rated = [each for chunk in answer.chunks for each in chunk.logprobs]
    assert len(rated) == len(answer.token_ids) == 8
    told = "".join(each.text for each in rated).replace(REPLACEMENT, "")
    assert told.startswith(answer.text.replace(REPLACEMENT, ""))
    for each in rated:
        # vLLM tells a completion's candidates by their text, so those of equal text are one.
        assert bool(n_top) <= len(each.top) <= n_top
        # Greedy: the chosen one is the likeliest.
        assert each.logprob == max([candidate.logprob for candidate in each.top] or [each.logprob])
        assert each.logprob <= 0


async def test_logprobs__not_asked_for__are_not_told(engine: BuiltEngine) -> None:
    answer = await ask(engine, chat(max_tokens=3))
    assert not any(chunk.logprobs for chunk in answer.chunks)


async def test_penalties__strong__no_token_comes_as_often(engine: BuiltEngine) -> None:
    plain = await ask(engine, chat(max_tokens=30))
    varied = await ask(engine, chat(max_tokens=30, presence_penalty=2.0, frequency_penalty=2.0))
    assert len(set(varied.token_ids)) > len(set(plain.token_ids))


async def test_logprobs__under_penalties__are_the_models_own(engine: BuiltEngine) -> None:
    plain = await ask(engine, chat(max_tokens=1, logprobs=2))
    other = await ask(
        engine, chat(max_tokens=1, logprobs=2, presence_penalty=-2.0, temperature=2.0, top_k=1)
    )
    ours, theirs = plain.chunks[0].logprobs[0].top, other.chunks[0].logprobs[0].top
    # By their odds and not by name: with random weights candidates are as good as equal.
    assert [each.logprob for each in ours] == pytest.approx([e.logprob for e in theirs], abs=1e-3)


SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Bern", "Rome"]}, "old": {"type": "boolean"}},
    "required": ["city", "old"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("ask_for", [chat, raw])
async def test_format__schema__holds_or_is_refused(engine: BuiltEngine, ask_for: Any) -> None:
    request = ask_for(max_tokens=60, response_format=schema_format(SCHEMA))
    if Feature.JSON_SCHEMA not in engine.features:
        with pytest.raises(EngineRefused, match="json_schema"):
            await ask(engine, request)
        return
    answer = await ask(engine, request)
    assert answer.finish_reason is FinishReason.STOP
    told = json.loads(answer.text)
    assert told["city"] in ("Bern", "Rome")
    assert isinstance(told["old"], bool)


async def test_format__any_object__begins_one_or_is_refused(engine: BuiltEngine) -> None:
    request = chat(max_tokens=20, response_format=ResponseFormat())
    if Feature.JSON_OBJECT not in engine.features:
        with pytest.raises(EngineRefused, match="json_object"):
            await ask(engine, request)
        return
    assert (await ask(engine, request)).text.lstrip().startswith("{")
