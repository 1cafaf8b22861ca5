"""From a model's scores to its next token, and to what is told of the choice. Torch, no model."""

from collections import Counter
from collections.abc import Callable, Sequence

import torch

from decentralized_vllm.protocol.generation import (
    PromptTokenLogprob,
    SamplingParameters,
    TokenLogprob,
)
from decentralized_vllm.protocol.logprobs import candidate
from dvllm_worker.engines.token_text import REPLACEMENT, TokenText

GREEDY_BELOW_TEMPERATURE = 1e-5  # vLLM's bound, so that both engines agree


class NotFiniteError(ArithmeticError):
    """The model computed no usable scores."""


class Sampler:
    """Picks one token after another as the parameters say, from a stream of its own."""

    def __init__(self, parameters: SamplingParameters, device: torch.device) -> None:
        self._parameters = parameters
        self._picked: Counter[int] = Counter()
        self._random = torch.Generator(device)
        if parameters.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(parameters.seed)

    def pick(self, logits: torch.Tensor) -> int:
        """`logits` is [vocabulary]. Raises NotFiniteError."""
        _check_finite(logits)
        token_id = self._choose(self._penalize(logits))
        self._picked[token_id] += 1
        return token_id

    def _choose(self, logits: torch.Tensor) -> int:
        if self._parameters.temperature < GREEDY_BELOW_TEMPERATURE:
            return int(logits.argmax())
        scores = self._narrow(logits / self._parameters.temperature)
        choice = torch.multinomial(scores.softmax(dim=-1), 1, generator=self._random)
        return int(choice)

    def _penalize(self, logits: torch.Tensor) -> torch.Tensor:
        """Makes tokens of this answer less likely, once and for each time; the prompt's are not."""
        once, each = self._parameters.presence_penalty, self._parameters.frequency_penalty
        if not (once or each) or not self._picked:
            return logits
        ids = torch.tensor(list(self._picked), device=logits.device)
        times = torch.tensor(list(self._picked.values()), device=logits.device, dtype=logits.dtype)
        return logits.index_add(0, ids, -(once + each * times))

    def _narrow(self, scores: torch.Tensor) -> torch.Tensor:
        """Rules out what top_k and then top_p leave out; the best token always stays."""
        top_k, top_p = self._parameters.top_k, self._parameters.top_p
        if 0 < top_k < scores.numel():
            scores = scores.masked_fill(scores < scores.topk(top_k).values[-1], -torch.inf)
        if top_p < 1:
            ordered, order = scores.sort(descending=True)
            shares = ordered.softmax(dim=-1)
            is_out = shares.cumsum(dim=-1) - shares >= top_p
            scores = scores.index_fill(0, order[is_out], -torch.inf)
        return scores


class Rater:
    """Tells how likely each token of an answer was, and the `n_top` likeliest at its place."""

    def __init__(self, decode: Callable[[Sequence[int]], str], n_top: int) -> None:
        self._decode = decode
        self._n_top = n_top
        self._before: list[int] = []

    def rate(self, logits: torch.Tensor, token_id: int) -> TokenLogprob:
        """`logits` is [vocabulary], before penalties; in the order of the answer."""
        logprobs = logits.log_softmax(dim=-1)
        best = logprobs.topk(min(self._n_top, logprobs.numel()))
        top = tuple(
            candidate(self._text(each), logprob)
            for each, logprob in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        chosen = candidate(self._text(token_id), float(logprobs[token_id]))
        self._before = [token_id]
        return TokenLogprob(chosen.text, chosen.logprob, top)

    def skip(self, token_id: int) -> None:
        """Of a token that no scores are of."""
        self._before = [token_id]

    def _text(self, token_id: int) -> str:
        """Behind the token before it, since some tokenizers drop the space of a first token."""
        before = self._decode(self._before)
        both = self._decode([*self._before, token_id])
        if before.endswith(REPLACEMENT) or not both.startswith(before):
            return self._decode([token_id])
        return both[len(before) :]


class PromptRater:
    """Tells how likely each token of a prompt was, as the model reads it part by part.

    All their texts together are the prompt's: a character of several tokens is the last one's.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], n_top: int) -> None:
        self._rater = Rater(decode, n_top)
        self._text = TokenText(decode)
        self._expected: torch.Tensor | None = None  # scores of the token after those read

    def rate(self, token_ids: Sequence[int], logits: torch.Tensor) -> list[PromptTokenLogprob]:
        """The next part, by the `logits` [tokens, vocabulary] after each. Raises NotFiniteError."""
        _check_finite(logits)
        rows = [self._expected, *logits[:-1]]
        self._expected = logits[-1]
        return [self._rated(token_id, row) for token_id, row in zip(token_ids, rows, strict=True)]

    def _rated(self, token_id: int, logits: torch.Tensor | None) -> PromptTokenLogprob:
        text = candidate(self._text.feed(token_id), 0).text
        if logits is None:
            self._rater.skip(token_id)
            return PromptTokenLogprob(text, None)
        told = self._rater.rate(logits, token_id)
        return PromptTokenLogprob(text, told.logprob, told.top)


def _check_finite(logits: torch.Tensor) -> None:
    """NaN and infinity both show in the maximum of each row."""
    if not torch.isfinite(logits.amax(dim=-1)).all():
        raise NotFiniteError("the model's scores are not finite")
