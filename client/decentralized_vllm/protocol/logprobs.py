"""Log-probabilities of output tokens: how many at most, and how a response document tells them."""

import math
from typing import Any

from pydantic import Field

from decentralized_vllm.protocol.documents import Schema
from decentralized_vllm.protocol.generation import Candidate, TokenLogprob

MAX_TOP_LOGPROBS = 5
# They must find room in a response document, whatever the tokens are.
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


def logprobs_json(tokens: tuple[TokenLogprob, ...]) -> list[dict[str, Any]]:
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
    top: list[CandidateSchema] = Field(max_length=MAX_TOP_LOGPROBS)

    def to_logprob(self) -> TokenLogprob:
        top = tuple(Candidate(each.text, each.logprob) for each in self.top)
        return TokenLogprob(self.text, self.logprob, top)
