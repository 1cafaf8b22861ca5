"""Refuses what no engine may be asked, before any engine sees it."""

import math

from decentralized_vllm.protocol.errors import EngineRefused, PromptTooLong
from decentralized_vllm.protocol.generation import (
    Feature,
    GenerationRequest,
    SamplingParameters,
)
from decentralized_vllm.protocol.logprobs import MAX_TOKENS_WITH_LOGPROBS, MAX_TOP_LOGPROBS
from decentralized_vllm.protocol.parameters import MAX_PENALTY

MAX_STOP_STRINGS = 16
MAX_STOP_CHARACTERS = 256
SEED_LIMIT = 2**63  # both engines seed with a signed 64-bit number


def check_request(request: GenerationRequest, features: frozenset[Feature]) -> None:
    """Raises EngineRefused for a request that is malformed, or beyond an engine's features."""
    kinds = (request.messages, request.prompt, request.token_ids, request.inputs)
    if sum(kind is not None for kind in kinds) != 1:
        raise EngineRefused("a request has one of messages, a prompt, token ids and inputs")
    if () in kinds:
        raise EngineRefused("a request has at least one message, token or input")
    if request.tools is not None and request.messages is None:
        raise EngineRefused("tools come with messages only")
    if request.parameters.prompt_logprobs:
        _check_rates_prompt(request)
    _check_parameters(request.parameters)
    missing = sorted(request.features - features)
    if missing:
        raise EngineRefused(f"this engine does not serve {', '.join(missing)}")
    for text in _texts(request):
        if not _is_unicode(text):
            raise EngineRefused("the prompt has a character that is not Unicode")


def _check_parameters(parameters: SamplingParameters) -> None:
    wanted = (
        ("max_tokens is below 1", parameters.max_tokens >= 1),
        ("temperature is not a number from 0 up", _is_from_zero(parameters.temperature)),
        ("top_p is not above 0 and up to 1", 0 < parameters.top_p <= 1),
        ("top_k is negative", parameters.top_k >= 0),
        ("seed is not from 0 to 2^63 - 1", 0 <= (parameters.seed or 0) < SEED_LIMIT),
        ("a penalty is not from -2 to 2", all(map(_is_penalty, _penalties(parameters)))),
        ("logprobs is not from 0 to 5", 0 <= (parameters.logprobs or 0) <= MAX_TOP_LOGPROBS),
        ("there are too many stop strings", len(parameters.stop) <= MAX_STOP_STRINGS),
        ("a stop string is empty or too long", all(map(_is_stop_string, parameters.stop))),
    )
    for complaint, holds in wanted:
        if not holds:
            raise EngineRefused(complaint)


def _check_rates_prompt(request: GenerationRequest) -> None:
    if request.messages is not None or request.parameters.logprobs is None:
        raise EngineRefused("prompt_logprobs come with logprobs, of raw prompts only")
    check_rated_length(request, len(request.token_ids or ()))


def check_rated_length(request: GenerationRequest, n_prompt_tokens: int) -> None:
    """Prompt and answer are rated in one document. Raises PromptTooLong."""
    if n_prompt_tokens + request.parameters.max_tokens > MAX_TOKENS_WITH_LOGPROBS:
        raise PromptTooLong(f"prompt_logprobs of more than {MAX_TOKENS_WITH_LOGPROBS} tokens")


def _is_from_zero(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _penalties(parameters: SamplingParameters) -> tuple[float, float]:
    return parameters.presence_penalty, parameters.frequency_penalty


def _is_penalty(value: float) -> bool:
    return -MAX_PENALTY <= value <= MAX_PENALTY


def _is_stop_string(text: str) -> bool:
    return 0 < len(text) <= MAX_STOP_CHARACTERS


def _texts(request: GenerationRequest) -> list[str]:
    messages = request.messages or ()
    parts = [part for message in messages for part in (message.role, message.content)]
    calls = [call.arguments for message in messages for call in message.tool_calls]
    tools = [tool.description for tool in (request.tools.functions if request.tools else ())]
    raw = [request.prompt or "", *(request.inputs or ())]
    return [*parts, *calls, *tools, *raw, *request.parameters.stop]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry
        return False
    return True
