"""An engine without a model, for benches and fault injection; refused on any but a local chain."""

import asyncio
import hashlib
import math
from collections.abc import AsyncGenerator

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.errors import EngineUnavailable
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    Feature,
    FinishReason,
    GenerationChunk,
    GenerationRequest,
    PromptTokenLogprob,
    SamplingParameters,
    TokenLogprob,
)
from decentralized_vllm.protocol.logprobs import candidate
from decentralized_vllm.protocol.tools import ToolCall
from dvllm_worker.engines.answers import checked_answer
from dvllm_worker.engines.settings import NullSettings

N_DIMENSIONS = 8


class NullEngine:
    """Answers with the words of the prompt, over and over, at the pace of its settings.

    The words of token ids are their numbers. It is sure of every word, and puts the words into an
    object where JSON is asked for. Of tools it calls the one that is named, or the first, with the
    words, until a tool has answered. Vectors are made of hashes.

    Tests break it on purpose: `fail_next` makes the next answers fail before their first token,
    `hang_next` makes them go silent after it.
    """

    is_for_tests = True
    features = frozenset(Feature) - {Feature.JSON_SCHEMA}

    def __init__(self, settings: NullSettings | None = None, *, n_slots: int = 1) -> None:
        self.n_slots = n_slots
        self._settings = settings or NullSettings()
        self._is_up = False
        self._n_to_fail = 0
        self._n_to_hang = 0

    def fail_next(self, n_answers: int = 1) -> None:
        self._n_to_fail = n_answers

    def hang_next(self, n_answers: int = 1) -> None:
        self._n_to_hang = n_answers

    async def start(self) -> None:
        self._is_up = True

    async def stop(self) -> None:
        self._is_up = False

    def identity(self) -> EngineIdentity:
        return EngineIdentity(name="null", version="1", dtype="none", device="cpu")

    async def is_healthy(self) -> bool:
        return self._is_up

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        return checked_answer(request, self._answer, self.features)

    async def _answer(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        if not self._is_up:
            raise EngineUnavailable("the engine is not started")
        hangs = self._take_fault()
        if request.inputs is not None:
            await _pause(self._settings.first_token_s)
            yield _vectors_of(request.inputs)
            return
        prompt, parameters = _words(request), request.parameters
        words = _object_of(prompt) if parameters.response_format else prompt
        n_wanted = len(words) if parameters.response_format else self._settings.n_tokens
        n_tokens = min(n_wanted, parameters.max_tokens)
        await _pause(self._settings.first_token_s)
        call = _call(request, prompt)
        if call is not None:
            yield _call_chunk(call, len(prompt), parameters.logprobs)
            return
        for index in range(n_tokens):
            is_last = index == n_tokens - 1
            text = (" " if index else "") + words[index % len(words)]
            yield GenerationChunk(
                text=text,
                token_ids=(index,),
                n_prompt_tokens=len(prompt),
                finish_reason=_finish(is_last, parameters.max_tokens, n_tokens),
                logprobs=_logprobs(text, parameters.logprobs),
                prompt_logprobs=() if index else _prompt_logprobs(prompt, parameters),
            )
            if hangs:
                await asyncio.Event().wait()
            await _pause(self._settings.token_interval_s)

    def _take_fault(self) -> bool:
        """Raises for a failure asked for; says whether this answer is to hang."""
        if self._n_to_fail:
            self._n_to_fail -= 1
            raise EngineUnavailable("a failure was asked for")
        if self._n_to_hang:
            self._n_to_hang -= 1
            return True
        return False


def _words(request: GenerationRequest) -> list[str]:
    if request.token_ids is not None:
        return [str(each) for each in request.token_ids]
    text = request.prompt or " ".join(message.content for message in request.messages or ())
    return text.split() or ["nothing"]


def _vectors_of(inputs: tuple[str, ...]) -> GenerationChunk:
    """The bytes of each input's hash, brought to length one: the same for the same text."""
    hashes = [hashlib.sha256(text.encode()).digest()[:N_DIMENSIONS] for text in inputs]
    vectors = [[byte / math.hypot(*digest) for byte in digest] for digest in hashes]
    n_words = sum(len(text.split()) for text in inputs)
    return GenerationChunk(vectors_text(vectors), (), n_words, FinishReason.STOP)


def _object_of(words: list[str]) -> list[str]:
    return ['{"words":', canonical_json.encode([*words]).decode(), "}"]


def _call(request: GenerationRequest, words: list[str]) -> ToolCall | None:
    tools = request.tools
    if tools is None:
        return None
    last = (request.messages or ())[-1]
    if last.role == "tool" and not tools.are_forced:
        return None
    name = tools.named or tools.functions[0].name
    arguments = canonical_json.encode({"words": [*words]}).decode()
    return ToolCall(f"call_{request.request_id}", name, arguments)


def _call_chunk(call: ToolCall, n_prompt_tokens: int, n_top: int | None) -> GenerationChunk:
    return GenerationChunk(
        text="",
        token_ids=(0,),
        n_prompt_tokens=n_prompt_tokens,
        finish_reason=FinishReason.TOOL_CALLS,
        logprobs=_logprobs("", n_top),
        tool_calls=(call,),
    )


def _logprobs(text: str, n_top: int | None) -> tuple[TokenLogprob, ...]:
    if n_top is None:
        return ()
    chosen = candidate(text, 0.0)
    return (TokenLogprob(chosen.text, chosen.logprob, (chosen,) if n_top else ()),)


def _prompt_logprobs(
    words: list[str], parameters: SamplingParameters
) -> tuple[PromptTokenLogprob, ...]:
    if not parameters.prompt_logprobs:
        return ()
    rated = [each for word in words[1:] for each in _logprobs(f" {word}", parameters.logprobs)]
    further = (PromptTokenLogprob(each.text, each.logprob, each.top) for each in rated)
    return (PromptTokenLogprob(words[0], None), *further)


def _finish(is_last: bool, max_tokens: int, n_tokens: int) -> FinishReason | None:
    if not is_last:
        return None
    return FinishReason.LENGTH if n_tokens == max_tokens else FinishReason.STOP


async def _pause(duration_s: float) -> None:
    """No trip through the loop's timer when there is nothing to wait for."""
    if duration_s:
        await asyncio.sleep(duration_s)
