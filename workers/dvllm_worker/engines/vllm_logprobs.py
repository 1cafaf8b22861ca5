"""Log-probabilities as a vLLM server tells them: one way for chats, another for completions."""

from pydantic import BaseModel

from decentralized_vllm.protocol.errors import EngineUnavailable
from decentralized_vllm.protocol.generation import (
    Candidate,
    PromptTokenLogprob,
    TokenLogprob,
)
from decentralized_vllm.protocol.logprobs import candidate


class _Token(BaseModel):
    token: str
    logprob: float


class _RatedToken(_Token):
    top_logprobs: list[_Token] = []


class ServerLogprobs(BaseModel):
    """`content` is of chats, the other three are of completions."""

    content: list[_RatedToken] | None = None
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] = []

    def to_logprobs(self, n_top: int) -> tuple[TokenLogprob, ...]:
        """At most `n_top` candidates each. Raises EngineUnavailable for what is no rating."""
        try:
            return tuple(_rated(token, n_top) for token in self._tokens())
        except ValueError as error:
            raise EngineUnavailable(f"the vLLM server rates a token badly: {error}") from error

    def cut(self, n_prompt_tokens: int) -> tuple["ServerLogprobs", "ServerLogprobs"]:
        """Those of an echoed prompt, and those of the answer behind them."""
        return self._part(slice(n_prompt_tokens)), self._part(slice(n_prompt_tokens, None))

    def to_prompt_logprobs(self, n_top: int) -> tuple[PromptTokenLogprob, ...]:
        """As `to_logprobs`; the first token has no rating."""
        further = self._part(slice(1, None)).to_logprobs(n_top)
        first = [PromptTokenLogprob(candidate(text, 0).text, None) for text in self.tokens[:1]]
        return (*first, *(PromptTokenLogprob(t.text, t.logprob, t.top) for t in further))

    def _part(self, part: slice) -> "ServerLogprobs":
        return ServerLogprobs(
            tokens=self.tokens[part],
            token_logprobs=self.token_logprobs[part],
            top_logprobs=self.top_logprobs[part],
        )

    def _tokens(self) -> list[_RatedToken]:
        if self.content is not None:
            return self.content
        ratings = zip(self.tokens, self.token_logprobs, self.top_logprobs, strict=True)
        return [_completion_token(token, logprob, top) for token, logprob, top in ratings]


def _completion_token(
    token: str, logprob: float | None, top: dict[str, float] | None
) -> _RatedToken:
    if logprob is None:
        raise ValueError("it has no log-probability")
    others = [_Token(token=text, logprob=each) for text, each in (top or {}).items()]
    return _RatedToken(token=token, logprob=logprob, top_logprobs=others)


def _rated(token: _RatedToken, n_top: int) -> TokenLogprob:
    """A completion tells the chosen token beside the likeliest, whichever place it has."""
    chosen = candidate(token.token, token.logprob)
    ranked = sorted(map(_candidate, token.top_logprobs), key=lambda each: -each.logprob)
    return TokenLogprob(chosen.text, chosen.logprob, tuple(ranked[:n_top]))


def _candidate(token: _Token) -> Candidate:
    return candidate(token.token, token.logprob)
