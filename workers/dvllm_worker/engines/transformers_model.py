"""A causal language model on torch: loaded from a local directory, answered token by token.

Only the child process imports this and the sampling beside it: they take torch with them.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers

from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    FinishReason,
    Message,
    PromptTokenLogprob,
    SamplingParameters,
    TokenLogprob,
)
from dvllm_worker.engines.chat_template import PLAIN_TEMPLATE, told_of_failure
from dvllm_worker.engines.stop_strings import StopCutter
from dvllm_worker.engines.token_text import TokenText
from dvllm_worker.engines.transformers_embedding import text_vector
from dvllm_worker.engines.transformers_sampling import (
    NotFiniteError,
    PromptRater,
    Rater,
    Sampler,
)
from dvllm_worker.engines.vector_form import VectorForm
from dvllm_worker.engines.wire import Alive, Failed, Order, Piece, Refused

# A long prompt is read in parts, so that a cancel is heeded and signs of life are given between.
N_PREFILL_TOKENS = 512
# Of one that is rated each token takes the vocabulary x 4 bytes, several times.
N_RATED_PREFILL_TOKENS = 64
DEFAULT_CONTEXT_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class _Pick:
    token_id: int
    logprobs: tuple[TokenLogprob, ...]  # of this token, or none


@dataclass(frozen=True, slots=True)
class _ReadPart:
    """Of the prompt."""

    logprobs: tuple[PromptTokenLogprob, ...]  # of each of its tokens, or none


class _TemplateFailed(Exception):
    """The model's chat template makes no prompt of these messages."""


class TransformersModel:
    """Answers in several threads at once; nothing here changes after loading."""

    def __init__(
        self, model: Any, tokenizer: Any, max_model_len: int | None, vectors: VectorForm
    ) -> None:
        self._model = model
        self._vector_form = vectors
        self._tokenizer = tokenizer
        self._stop_ids = _stop_ids(model, tokenizer)
        self._n_vocabulary = model.get_input_embeddings().num_embeddings
        known = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        context = known or DEFAULT_CONTEXT_TOKENS
        self.n_context_tokens = min(context, max_model_len or context)
        self.identity = EngineIdentity(
            name="transformers",
            version=transformers.__version__,
            dtype=str(model.dtype).removeprefix("torch."),
            device=model.device.type,
        )

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        dtype: str,
        n_threads: int,
        max_model_len: int | None,
        vectors: VectorForm,
    ) -> "TransformersModel":
        torch.set_num_threads(n_threads)
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
        model, loaded = transformers.AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
        _check_weights(loaded["missing_keys"])
        if torch.cuda.is_available():
            model = model.to("cuda")
        elif model.dtype == torch.float16 and dtype == "auto":
            model = model.float()  # most CPUs have no float16 arithmetic
        return cls(model.eval(), tokenizer, max_model_len, vectors)

    def answer(
        self, order: Order, cancelled: threading.Event
    ) -> Iterator[Piece | Alive | Refused | Failed]:
        try:
            if order.inputs is None:
                yield from self._text(order, cancelled)
            else:
                yield from self._vectors(order, order.inputs, cancelled)
        except (MemoryError, torch.OutOfMemoryError, NotFiniteError) as error:
            yield Failed(order.number, f"{type(error).__name__}: {error}")

    def _vectors(
        self, order: Order, inputs: Sequence[str], cancelled: threading.Event
    ) -> Iterator[Piece | Alive | Refused]:
        """Told between inputs that it is alive; each has to fit the context by itself."""
        vectors, n_tokens = [], 0
        for text in inputs:
            token_ids = list(self._tokenizer(text)["input_ids"])
            if not 0 < len(token_ids) <= self.n_context_tokens:
                yield self._misfit(order, len(token_ids))
                return
            if cancelled.is_set():
                return
            vectors.append(text_vector(self._model, token_ids, self._vector_form))
            n_tokens += len(token_ids)
            yield Alive(order.number)
        yield Piece(order.number, vectors_text(vectors), (), n_tokens, FinishReason.STOP)

    def _text(self, order: Order, cancelled: threading.Event) -> Iterator[Piece | Alive | Refused]:
        try:
            prompt_ids = self._prompt_ids(order)
        except _TemplateFailed as error:
            yield Refused(order.number, f"the model's chat template rejects it: {error}")
            return
        n_room = self.n_context_tokens - len(prompt_ids)
        if not prompt_ids or n_room < 1:
            yield self._misfit(order, len(prompt_ids))
            return
        if max(prompt_ids) >= self._n_vocabulary:
            yield Refused(order.number, f"the model has no token {max(prompt_ids)}")
            return
        yield from self._pieces(order, prompt_ids, n_room, cancelled)

    def _misfit(self, order: Order, n_tokens: int) -> Refused:
        if n_tokens == 0:
            return Refused(order.number, "the prompt is empty")
        message = f"the prompt has {n_tokens} tokens, the model's context {self.n_context_tokens}"
        return Refused(order.number, message, is_too_long=True)

    def _prompt_ids(self, order: Order) -> list[int]:
        if order.token_ids is not None:
            return list(order.token_ids)
        if order.messages is None:
            return list(self._tokenizer(order.prompt)["input_ids"])
        text = self._templated(order.messages)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _templated(self, messages: Sequence[Message]) -> str:
        """Raises _TemplateFailed. A template is a program: it may fail in any way."""
        template = self._tokenizer.chat_template
        try:
            text: str = self._tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                chat_template=None if template else PLAIN_TEMPLATE,
                add_generation_prompt=True,
                tokenize=False,
            )
        except MemoryError:
            raise
        except Exception as error:
            raise _TemplateFailed(told_of_failure(error, str(template))) from None
        return text

    def _pieces(
        self, order: Order, prompt_ids: list[int], n_room: int, cancelled: threading.Event
    ) -> Iterator[Piece | Alive]:
        text = TokenText(self._decode)
        cutter = StopCutter(order.parameters.stop)
        n_wanted = min(order.parameters.max_tokens, n_room)
        n_made = 0
        for pick in self._picks(prompt_ids, order.parameters, cancelled):
            if isinstance(pick, _ReadPart):
                yield _read_event(order.number, len(prompt_ids), pick)
                continue
            token_id = pick.token_id
            n_made += 1
            is_text = token_id not in self._stop_ids
            shown = cutter.feed(text.feed(token_id)) if is_text else ""
            reason = self._finish_reason(token_id, n_made, n_wanted, cutter)
            if reason is not None:
                shown += cutter.feed(text.flush()) + cutter.flush()
            yield Piece(order.number, shown, (token_id,), len(prompt_ids), reason, pick.logprobs)
            if reason is not None:
                return

    def _finish_reason(
        self, token_id: int, n_made: int, n_wanted: int, cutter: StopCutter
    ) -> FinishReason | None:
        if token_id in self._stop_ids or cutter.is_hit:
            return FinishReason.STOP
        return FinishReason.LENGTH if n_made == n_wanted else None

    def _decode(self, token_ids: Sequence[int], *, special: bool = False) -> str:
        text: str = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False
        )
        return text

    def _rater(self, parameters: SamplingParameters) -> Rater | None:
        if parameters.logprobs is None:
            return None
        return Rater(partial(self._decode, special=True), parameters.logprobs)

    def _prompt_rater(self, parameters: SamplingParameters) -> PromptRater | None:
        if not parameters.prompt_logprobs:
            return None
        return PromptRater(partial(self._decode, special=True), parameters.logprobs or 0)

    def _picks(
        self, prompt_ids: list[int], parameters: SamplingParameters, cancelled: threading.Event
    ) -> Iterator[_Pick | _ReadPart]:
        """The prompt, part by part, and then tokens for ever; ends on cancel."""
        sampler, rater = Sampler(parameters, self._model.device), self._rater(parameters)
        of_prompt = self._prompt_rater(parameters)
        cache: Any = None
        logits = torch.empty(0)
        for part in _parts(prompt_ids, N_RATED_PREFILL_TOKENS if of_prompt else N_PREFILL_TOKENS):
            if cancelled.is_set():
                return
            logits, cache = self._forward(part, cache, len(part) if of_prompt else 1)
            yield _ReadPart(tuple(of_prompt.rate(part, logits)) if of_prompt else ())
        while not cancelled.is_set():
            token_id = sampler.pick(logits[-1])
            yield _Pick(token_id, (rater.rate(logits[-1], token_id),) if rater else ())
            logits, cache = self._forward([token_id], cache, 1)

    def _forward(self, token_ids: list[int], cache: Any, n_logits: int) -> tuple[torch.Tensor, Any]:
        """Logits [n_logits, vocabulary] after the last tokens, in float32, and the grown cache."""
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.tensor([token_ids], device=self._model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=n_logits,  # all would take prompt x vocabulary x 4 bytes
            )
        return output.logits[0, -n_logits:].float(), output.past_key_values


def _parts(token_ids: list[int], n_tokens: int) -> Iterator[list[int]]:
    for start in range(0, len(token_ids), n_tokens):
        yield token_ids[start : start + n_tokens]


def _read_event(number: int, n_prompt_tokens: int, part: _ReadPart) -> Piece | Alive:
    """A sign of life either way, since a long prompt takes its time."""
    if not part.logprobs:
        return Alive(number)
    return Piece(number, "", (), n_prompt_tokens, prompt_logprobs=part.logprobs)


def _check_weights(missing: Collection[str]) -> None:
    """transformers makes up what a model of another kind, such as BERT, lacks to write text."""
    if missing:
        names = ", ".join(sorted(missing)[:3])
        raise ValueError(f"the model is not made to write text: it has no weights {names}")


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer, of the generation config (one or several) and tokenizer."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(each for each in [*ids, tokenizer.eos_token_id] if each is not None)
