"""Malformed requests reach no engine."""

from typing import Any

import pytest

from decentralized_vllm.protocol.errors import EngineRefused
from decentralized_vllm.protocol.generation import (
    Feature,
    GenerationRequest,
    Message,
    ResponseFormat,
    SamplingParameters,
)
from decentralized_vllm.protocol.tools import Tool, ToolCall, Tools
from dvllm_worker.engines.requests import check_request

ALL = frozenset(Feature)


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
