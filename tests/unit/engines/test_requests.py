"""Malformed requests reach no engine."""

from typing import Any

import pytest

from decentralized_vllm.protocol.errors import EngineRefused, PromptTooLong
from decentralized_vllm.protocol.generation import (
    Feature,
    GenerationRequest,
    Message,
    ResponseFormat,
    SamplingParameters,
)
from decentralized_vllm.protocol.logprobs import MAX_TOKENS_WITH_LOGPROBS
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from dvllm_worker.engines.requests import check_request

ALL = frozenset(Feature)
RATED = SamplingParameters(logprobs=0, prompt_logprobs=True)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"presence_penalty": 2.5}, "penalty"),
        ({"frequency_penalty": float("nan")}, "penalty"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": -1}, "logprobs"),
        ({"stop": ("",)}, "stop"),
        ({"stop": ("x" * 1000,)}, "stop"),
        ({"stop": ("x",) * 100}, "stop"),
        ({"stop": ("\ud800",)}, "Unicode"),
    ],
)
def test_check__bad_parameter__refused(parameters: dict[str, Any], complaint: str) -> None:
    request = GenerationRequest("r", SamplingParameters(**parameters), prompt="hi")
    with pytest.raises(EngineRefused, match=complaint):
        check_request(request, ALL)


@pytest.mark.parametrize(
    "request_",
    [
        GenerationRequest("r", SamplingParameters()),
        GenerationRequest("r", SamplingParameters(), messages=()),
        GenerationRequest("r", SamplingParameters(), messages=(Message("user", "a"),), prompt="a"),
        GenerationRequest("r", SamplingParameters(), prompt="a", token_ids=(1,)),
        GenerationRequest("r", SamplingParameters(), token_ids=()),
        GenerationRequest("r", SamplingParameters(prompt_logprobs=True), token_ids=(1,)),
        GenerationRequest("r", RATED, messages=(Message("user", "a"),)),
        GenerationRequest("r", SamplingParameters(), prompt="\ud800"),
        GenerationRequest("r", SamplingParameters(), messages=(Message("user", "\udfff"),)),
        GenerationRequest("r", SamplingParameters(), prompt="a", tools=Tools((Tool("f"),))),
        GenerationRequest(
            "r", SamplingParameters(), (Message("user", "a"),), tools=Tools((Tool("f", "\ud800"),))
        ),
        GenerationRequest(
            "r",
            SamplingParameters(),
            (Message("assistant", "", (ToolCall("1", "f", "\ud800"),)),),
        ),
    ],
)
def test_check__bad_prompt__refused(request_: GenerationRequest) -> None:
    with pytest.raises(EngineRefused):
        check_request(request_, ALL)


def test_check__widest_allowed_parameters__passes() -> None:
    parameters = SamplingParameters(1, 100.0, 1.0, 10**6, ("x" * 256,) * 16, 2**63 - 1)
    check_request(GenerationRequest("r", parameters, prompt="hi"), frozenset())


@pytest.mark.parametrize(
    ("parameters", "feature"),
    [
        (SamplingParameters(logprobs=0), Feature.LOGPROBS),
        (SamplingParameters(presence_penalty=-2.0), Feature.PENALTIES),
        (SamplingParameters(response_format=ResponseFormat()), Feature.JSON_OBJECT),
        (SamplingParameters(response_format=ResponseFormat("{}")), Feature.JSON_SCHEMA),
    ],
)
def test_check__beyond_the_features__refused(
    parameters: SamplingParameters, feature: Feature
) -> None:
    request = GenerationRequest("r", parameters, prompt="hi")
    check_request(request, frozenset({feature}))
    with pytest.raises(EngineRefused, match=f"does not serve {feature}$"):
        check_request(request, ALL - {feature})


def test_check__more_tokens_than_are_rated__too_long() -> None:
    longest = (1,) * (MAX_TOKENS_WITH_LOGPROBS - RATED.max_tokens)
    check_request(GenerationRequest("r", RATED, token_ids=longest), ALL)
    with pytest.raises(PromptTooLong):
        check_request(GenerationRequest("r", RATED, token_ids=(*longest, 1)), ALL)


@pytest.mark.parametrize("missing", [Feature.TOKEN_PROMPTS, Feature.PROMPT_LOGPROBS])
def test_check__tokens_or_ratings_not_served__refused(missing: Feature) -> None:
    request = GenerationRequest("r", RATED, token_ids=(1, 2))
    with pytest.raises(EngineRefused, match=missing.value):
        check_request(request, ALL - {missing})
