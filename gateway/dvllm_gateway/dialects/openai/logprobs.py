"""Log-probabilities as clients read them: one way for chats, an older one for completions."""

from collections.abc import Sequence

from decentralized_vllm.protocol.generation import (
    Candidate,
    PromptTokenLogprob,
    TokenLogprob,
)
from dvllm_gateway.dialects.openai.replies import (
    CandidateReply,
    ChatLogprobs,
    TextLogprobs,
    TokenReply,
)

NO_CHARACTER = "\ufffd"


def chat_logprobs(tokens: Sequence[TokenLogprob] | None) -> ChatLogprobs | None:
    """None where nothing was rated."""
    if tokens is None:
        return None
    return ChatLogprobs(content=[_token(token) for token in tokens])


def text_logprobs(
    tokens: Sequence[TokenLogprob | PromptTokenLogprob] | None,
) -> TextLogprobs | None:
    if tokens is None:
        return None
    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(token.text)
    return TextLogprobs(
        tokens=[token.text for token in tokens],
        token_logprobs=[token.logprob for token in tokens],
        top_logprobs=[_likeliest(token) for token in tokens],
        text_offset=offsets,
    )


def _likeliest(token: TokenLogprob | PromptTokenLogprob) -> dict[str, float] | None:
    """With the token itself, which need not be among them."""
    if token.logprob is None:
        return None
    return {**{each.text: each.logprob for each in token.top}, token.text: token.logprob}


def _token(token: TokenLogprob) -> TokenReply:
    return TokenReply(
        token=token.text,
        logprob=token.logprob,
        bytes=_bytes(token.text),
        top_logprobs=[_candidate(each) for each in token.top],
    )


def _candidate(each: Candidate) -> CandidateReply:
    return CandidateReply(token=each.text, logprob=each.logprob, bytes=_bytes(each.text))


def _bytes(text: str) -> list[int] | None:
    """None for a part of a character, whose bytes nobody told."""
    return None if not text or NO_CHARACTER in text else list(text.encode())
