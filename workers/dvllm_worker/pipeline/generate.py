"""Generate: run the engine and put the signed answer on this disk before anyone hears of it."""

import time
from contextlib import aclosing
from dataclasses import dataclass, field

from decentralized_vllm.protocol.errors import ContentTooLarge, EngineUnavailable
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    FinishReason,
    GenerationChunk,
    PromptTokenLogprob,
    TokenLogprob,
    Usage,
)
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.ports import Engine
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import (
    RequestIdentity,
    ResponseDocument,
    ResponseTiming,
)
from decentralized_vllm.protocol.tools import ToolCall
from dvllm_worker.pipeline.ports import AnswerShelf, AnswerSigner, Onlooker, PromptSearch
from dvllm_worker.pipeline.results import AdmittedJob, Generation, LoadedJob
from dvllm_worker.pipeline.speed import Pace


@dataclass(slots=True)
class Transcript:
    """What an engine has said so far."""

    text: list[str]
    token_ids: list[int]
    logprobs: list[TokenLogprob] = field(default_factory=list)
    prompt_logprobs: list[PromptTokenLogprob] = field(default_factory=list)
    tool_calls: tuple[ToolCall, ...] = ()
    n_prompt_tokens: int = 0
    finish_reason: FinishReason | None = None

    def add(self, chunk: GenerationChunk) -> None:
        self.text.append(chunk.text)
        self.token_ids.extend(chunk.token_ids)
        self.logprobs.extend(chunk.logprobs)
        self.prompt_logprobs.extend(chunk.prompt_logprobs)
        self.n_prompt_tokens = chunk.n_prompt_tokens
        self.finish_reason = chunk.finish_reason
        self.tool_calls = chunk.tool_calls

    @property
    def usage(self) -> Usage:
        return Usage(self.n_prompt_tokens, len(self.token_ids))


class Stopwatch:
    """Durations by the monotonic clock, the start by Unix time: what a receipt states."""

    def __init__(self) -> None:
        self._started_at_ms = time.time_ns() // 1_000_000
        self._start_s = time.monotonic()
        self._first_s: float | None = None
        self._total_s = 0.0
        self._n_first = 0
        self._n_tokens = 0

    def on_tokens(self, n_tokens: int) -> None:
        """As a piece of the answer arrives. Some have no tokens: the wait goes on."""
        self._total_s = time.monotonic() - self._start_s
        if n_tokens and self._first_s is None:
            self._first_s, self._n_first = self._total_s, n_tokens
        self._n_tokens += n_tokens

    def pace(self) -> Pace:
        first_s = self._total_s if self._first_s is None else self._first_s
        return Pace(
            first_s,
            self._n_first,
            further_s=self._total_s - first_s,
            n_further=self._n_tokens - self._n_first,
        )

    def timing(self) -> ResponseTiming:
        first_s = self._total_s if self._first_s is None else self._first_s
        return ResponseTiming(
            self._started_at_ms,
            first_token_ms=round(first_s * 1000),
            total_ms=round(self._total_s * 1000),
        )


class Generate:
    def __init__(
        self, shelf: AnswerShelf, signer: AnswerSigner, onlooker: Onlooker, *, me: Address
    ) -> None:
        self._shelf = shelf
        self._signer = signer
        self._onlooker = onlooker
        self._me = me

    async def __call__(
        self, loaded: LoadedJob, engine: Engine, prompt: PromptSearch
    ) -> tuple[Generation, Pace]:
        """The signed answer, and how fast the engine made it.

        Raises EngineUnavailable, EngineRefused and ContentTooLarge (the prompt is longer than the
        terms allow).
        """
        watch = Stopwatch()
        transcript = await self._listen(loaded, engine, watch)
        document = document_of(loaded, transcript, watch.timing(), engine.identity(), self._me)
        signed = self._signer.sign(document).to_bytes()
        prompt.keep()  # goes to the disk along with the answer
        answer = self._shelf.shelve(signed)
        self._onlooker.on_answer(loaded.job.key.job_id, answer.cid, signed)
        return Generation(loaded.job, answer, transcript.usage), watch.pace()

    async def _listen(self, loaded: LoadedJob, engine: Engine, watch: Stopwatch) -> Transcript:
        transcript = Transcript([], [])
        if loaded.request.token_ids is not None:
            check_prompt_length(loaded.job, len(loaded.request.token_ids))
        async with aclosing(engine.generate(loaded.request)) as chunks:
            async for chunk in chunks:
                watch.on_tokens(len(chunk.token_ids))
                check_prompt_length(loaded.job, chunk.n_prompt_tokens)
                transcript.add(chunk)
                if loaded.request.inputs is None:  # nobody reads vectors as they are made
                    self._onlooker.on_text(loaded.job.key.job_id, chunk.text, len(chunk.token_ids))
        if transcript.finish_reason is None:
            raise EngineUnavailable("the engine's answer has no end")
        return transcript


def check_prompt_length(job: AdmittedJob, n_prompt_tokens: int) -> None:
    """Raises ContentTooLarge. How long a text is only the engine's tokenizer can tell."""
    if n_prompt_tokens > job.terms.max_input_tokens:
        raise ContentTooLarge(
            f"the prompt has {n_prompt_tokens} tokens, the terms allow {job.terms.max_input_tokens}"
        )


def document_of(
    loaded: LoadedJob,
    transcript: Transcript,
    timing: ResponseTiming,
    engine: EngineIdentity,
    me: Address,
) -> ResponseDocument:
    assert transcript.finish_reason is not None
    parameters = loaded.request.parameters
    return ResponseDocument(
        request=identity_of(loaded.job),
        node=me,
        text="".join(transcript.text),
        token_ids=tuple(transcript.token_ids),
        finish_reason=transcript.finish_reason,
        usage=transcript.usage,
        timing=timing,
        engine=engine,
        seed=parameters.seed,
        logprobs=None if parameters.logprobs is None else tuple(transcript.logprobs),
        tool_calls=transcript.tool_calls,
        prompt_logprobs=tuple(transcript.prompt_logprobs) if parameters.prompt_logprobs else None,
    )


def identity_of(job: AdmittedJob) -> RequestIdentity:
    key, request = job.key, job.row.request
    return RequestIdentity(
        deployment=Deployment(key.chain_id, key.coordinator),
        job_id=key.job_id,
        request_digest=key.digest,
        prompt_cid=request.prompt_cid,
        model_id=request.model_id,
        model_cid=request.model_cid,
    )
