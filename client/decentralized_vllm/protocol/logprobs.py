"""Log-probabilities of tokens: how many at most, and how a response document tells them.

They are the output's, and the prompt's if it asks for them.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from decentralized_vllm.protocol.documents import Schema
from decentralized_vllm.protocol.errors import InvalidResponse
from decentralized_vllm.protocol.generation import (
    Candidate,
    PromptTokenLogprob,
    TokenLogprob,
)

MAX_TOP_LOGPROBS = 5
# They must find room in a response document, whatever the tokens are: the output's, and with them
# the prompt's if it is rated.
MAX_TOKENS_WITH_LOGPROBS = 4096
MAX_TOKEN_CHARACTERS = 128
LOWEST_LOGPROB = -9999.0  # stands for a probability of nothing, as JSON has no infinity
DIGITS = 6


def candidate(text: str, logprob: float) -> Candidate:
    """As a document may tell it: never longer, lower or more exact. Raises ValueError for NaN."""
    if math.isnan(logprob):
        raise ValueError("a log-probability is not a number")
    bounded = min(0.0, max(LOWEST_LOGPROB, logprob))
    return Candidate(text[:MAX_TOKEN_CHARACTERS], round(bounded, DIGITS) or 0.0)


def logprobs_json(
    tokens: tuple[TokenLogprob, ...] | tuple[PromptTokenLogprob, ...],
) -> list[dict[str, Any]]:
    return [
        {"text": token.text, "logprob": token.logprob, "top": [_json(each) for each in token.top]}
        for token in tokens
    ]


def _json(each: Candidate) -> dict[str, Any]:
    return {"text": each.text, "logprob": each.logprob}


class CandidateSchema(Schema):
    text: str = Field(max_length=MAX_TOKEN_CHARACTERS)
    logprob: float = Field(ge=LOWEST_LOGPROB, le=0)


class LogprobSchema(CandidateSchema):
    top: list[CandidateSchema] = Field(max_length=MAX_TOP_LOGPROBS, fail_fast=True)

    def to_logprob(self) -> TokenLogprob:
        top = tuple(Candidate(each.text, each.logprob) for each in self.top)
        return TokenLogprob(self.text, self.logprob, top)


class PromptLogprobSchema(Schema):
    text: str = Field(max_length=MAX_TOKEN_CHARACTERS)
    logprob: Annotated[float, Field(ge=LOWEST_LOGPROB, le=0)] | None
    top: list[CandidateSchema] = Field(max_length=MAX_TOP_LOGPROBS, fail_fast=True)

    def to_logprob(self) -> PromptTokenLogprob:
        top = tuple(Candidate(each.text, each.logprob) for each in self.top)
        return PromptTokenLogprob(self.text, self.logprob, top)


_Rated = Field(max_length=MAX_TOKENS_WITH_LOGPROBS, fail_fast=True)
Logprobs = Annotated[list[LogprobSchema], _Rated]
PromptLogprobs = Annotated[list[PromptLogprobSchema], _Rated]


def read_logprobs(told: list[LogprobSchema] | None) -> tuple[TokenLogprob, ...] | None:
    return None if told is None else tuple(each.to_logprob() for each in told)


def read_prompt_logprobs(
    told: list[PromptLogprobSchema] | None,
) -> tuple[PromptTokenLogprob, ...] | None:
    return None if told is None else tuple(each.to_logprob() for each in told)


def check_prompt_logprobs(tokens: Sequence[PromptTokenLogprob], n_prompt_tokens: int) -> None:
    """One for each token of the prompt, all rated but the first. Raises InvalidResponse."""
    if len(tokens) != n_prompt_tokens:
        raise InvalidResponse(f"reads {n_prompt_tokens} tokens and rates {len(tokens)}")
    for place, token in enumerate(tokens):
        is_bare = token.logprob is None
        if is_bare != (place == 0) or (is_bare and token.top):
            raise InvalidResponse("rates the first token of the prompt, or not each other one")
