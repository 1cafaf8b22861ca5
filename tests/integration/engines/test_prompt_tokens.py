"""Prompts as token ids, and prompts that are rated, held against each real engine."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
import torch
import transformers
from tokenizers import Tokenizer

from decentralized_vllm.protocol.errors import EngineRefused, PromptTooLong
from decentralized_vllm.protocol.generation import GenerationRequest, PromptTokenLogprob
from dvllm_devnet.models.tiny import TINY_CONTEXT_TOKENS
from dvllm_worker.engines.factory import BuiltEngine, build_engine
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.token_text import REPLACEMENT
from tests.support.engines import Answer, ask, chat, raw, running, tiny_model_path, vllm_python

pytestmark = pytest.mark.asyncio(loop_scope="module")

RENDERED = "<|im_start|>user\nname<|im_end|>\n<|im_start|>assistant\n"  # what a chat becomes
STORY = (
    "hello there, the fox has a 名前 and a story 🙂. " * 8
)  # more than is read at once when rated


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


def of_ids(token_ids: list[int], **parameters: Any) -> GenerationRequest:
    return replace(raw("", **parameters), prompt=None, token_ids=tuple(token_ids))


async def test_tokens__ids_of_a_text__answered_as_the_text(
    engine: BuiltEngine, tokenizer: Tokenizer
) -> None:
    ids = tokenizer.encode(STORY).ids
    by_text = await ask(engine, raw(STORY, max_tokens=12))
    by_ids = await ask(engine, of_ids(ids, max_tokens=12))
    assert (by_ids.text, by_ids.token_ids) == (by_text.text, by_text.token_ids)
    assert {chunk.n_prompt_tokens for chunk in by_ids.chunks} == {len(ids)}


async def test_tokens__special_ids__are_read_as_they_are(
    engine: BuiltEngine, tokenizer: Tokenizer
) -> None:
    by_chat = await ask(engine, chat("name", max_tokens=12))
    by_ids = await ask(engine, of_ids(tokenizer.encode(RENDERED).ids, max_tokens=12))
    assert by_ids.token_ids == by_chat.token_ids


async def test_tokens__beyond_the_vocabulary__refused_and_others_unharmed(
    engine: BuiltEngine,
) -> None:
    for token_id in (50_000_000, 2**31 - 1):
        with pytest.raises(EngineRefused) as refusal:
            await ask(engine, of_ids([5, token_id], max_tokens=1))
        assert not isinstance(refusal.value, PromptTooLong)
    assert len((await ask(engine, of_ids([5], max_tokens=4))).token_ids) == 4


async def test_tokens__more_than_the_context__refused(engine: BuiltEngine) -> None:
    with pytest.raises(PromptTooLong):
        await ask(engine, of_ids([5] * TINY_CONTEXT_TOKENS, max_tokens=1))


async def test_tokens__answer_would_not_fit__gets_the_room_there_is(engine: BuiltEngine) -> None:
    n_room = 4
    prompt = of_ids([5] * (TINY_CONTEXT_TOKENS - n_room), max_tokens=100)
    answer = await ask(engine, prompt)
    assert len(answer.token_ids) <= n_room


@pytest.mark.parametrize("n_top", [0, 3])
async def test_prompt_logprobs__of_each_token_but_the_first(
    engine: BuiltEngine, tokenizer: Tokenizer, n_top: int
) -> None:
    ids = tokenizer.encode(STORY).ids
    parameters = {"max_tokens": 2, "logprobs": n_top, "prompt_logprobs": True}
    of_text = rated_prompt(await ask(engine, raw(STORY, **parameters)))
    told = rated_prompt(await ask(engine, of_ids(ids, **parameters)))
    assert len(told) == len(of_text) == len(ids)
    assert [each.text for each in told] == [each.text for each in of_text]
    assert re.fullmatch(with_gaps("".join(each.text for each in told)), STORY)
    assert (told[0].logprob, told[0].top) == (None, ())
    for each in told[1:]:
        assert each.logprob is not None and each.logprob <= 0
        assert bool(n_top) <= len(each.top) <= n_top
        assert all(candidate.logprob <= 0 for candidate in each.top)


def with_gaps(text: str) -> str:
    """vLLM tells a character as unknown where a token has its end and the next one's beginning."""
    return ".?".join(re.escape(part) for part in text.split(REPLACEMENT))


async def test_prompt_logprobs__are_the_models_own(
    engine: BuiltEngine, tokenizer: Tokenizer
) -> None:
    """Held against transformers itself, on the whole prompt at once."""
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model_path())
    ids = tokenizer.encode(STORY).ids
    with torch.inference_mode():
        logprobs = model(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
    expected = [float(logprobs[place, each]) for place, each in enumerate(ids[1:])]
    answer = await ask(engine, of_ids(ids, max_tokens=1, logprobs=0, prompt_logprobs=True))
    told = [each.logprob for each in rated_prompt(answer)[1:]]
    assert told == pytest.approx(expected, abs=1e-3)


def rated_prompt(answer: Answer) -> list[PromptTokenLogprob]:
    return [each for chunk in answer.chunks for each in chunk.prompt_logprobs]


async def test_prompt_logprobs__of_an_answer__go_on_where_it_began(engine: BuiltEngine) -> None:
    """What the model made of a prompt is as likely when it is itself the prompt."""
    made = await ask(engine, of_ids([5, 6, 7], max_tokens=6, logprobs=1))
    rated = await ask(
        engine,
        of_ids([5, 6, 7, *made.token_ids], max_tokens=1, logprobs=1, prompt_logprobs=True),
    )
    expected = [each.logprob for chunk in made.chunks for each in chunk.logprobs]
    told = [each.logprob for each in rated_prompt(rated)[3:]]
    assert told == pytest.approx(expected, abs=1e-3)
