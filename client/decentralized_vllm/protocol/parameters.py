"""The parameters of a prompt document: how an answer is sampled, as schema and as JSON."""

from typing import Annotated, Any, Literal

from pydantic import Field

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import MAX_SAFE_INTEGER, MAX_TOKENS_OF_TERMS, Schema
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import ResponseFormat, SamplingParameters
from decentralized_vllm.protocol.json_schemas import schema_format, schema_of
from decentralized_vllm.protocol.logprobs import MAX_TOKENS_WITH_LOGPROBS, MAX_TOP_LOGPROBS

MAX_STOP_SEQUENCES = 16
MAX_STOP_CHARACTERS = 256
MAX_PENALTY = 2.0


class _ObjectFormatSchema(Schema):
    type: Literal["json_object"]

    def to_format(self) -> ResponseFormat:
        return ResponseFormat()


class _SchemaFormatSchema(Schema):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")

    def to_format(self) -> ResponseFormat:
        return schema_format(self.schema_)


_Format = Annotated[_ObjectFormatSchema | _SchemaFormatSchema, Field(discriminator="type")]
_Penalty = Annotated[float, Field(ge=-MAX_PENALTY, le=MAX_PENALTY)]


class ParametersSchema(Schema):
    max_tokens: int = Field(default=100, ge=1, le=MAX_TOKENS_OF_TERMS)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0, le=1_000_000)
    stop: list[Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]] = Field(
        default=[], max_length=MAX_STOP_SEQUENCES
    )
    seed: int | None = Field(default=None, ge=0, le=MAX_SAFE_INTEGER)
    presence_penalty: _Penalty = 0.0
    frequency_penalty: _Penalty = 0.0
    logprobs: int | None = Field(default=None, ge=0, le=MAX_TOP_LOGPROBS)
    response_format: _Format | None = None
    prompt_logprobs: bool = False

    def to_parameters(self) -> SamplingParameters:
        if self.logprobs is not None and self.max_tokens > MAX_TOKENS_WITH_LOGPROBS:
            raise InvalidPrompt(f"logprobs: of at most {MAX_TOKENS_WITH_LOGPROBS} tokens")
        if self.prompt_logprobs and self.logprobs is None:
            raise InvalidPrompt("prompt_logprobs: only with logprobs")
        plain = self.model_dump(exclude={"stop", "response_format"})
        form = self.response_format
        return SamplingParameters(
            **plain,
            stop=tuple(self.stop),
            response_format=None if form is None else form.to_format(),
        )


def parameters_json(parameters: SamplingParameters) -> dict[str, canonical_json.JsonValue]:
    return {
        "max_tokens": parameters.max_tokens,
        "temperature": _spelled(parameters.temperature),
        "top_p": _spelled(parameters.top_p),
        "top_k": parameters.top_k,
        "stop": list(parameters.stop),
        "seed": parameters.seed,
        **_later_parameters_json(parameters),
    }


def _spelled(number: float) -> int | float:
    """A whole one as an integer: canonical JSON knows no other, and writes those much faster."""
    return int(number) if float(number).is_integer() else number


def _later_parameters_json(
    parameters: SamplingParameters,
) -> dict[str, canonical_json.JsonValue]:
    """Left out unless they are used, so documents without them stay what they were."""
    fields: dict[str, canonical_json.JsonValue] = {}
    if parameters.presence_penalty:
        fields["presence_penalty"] = _spelled(parameters.presence_penalty)
    if parameters.frequency_penalty:
        fields["frequency_penalty"] = _spelled(parameters.frequency_penalty)
    if parameters.logprobs is not None:
        fields["logprobs"] = parameters.logprobs
    if parameters.prompt_logprobs:
        fields["prompt_logprobs"] = True
    if parameters.response_format is not None:
        fields["response_format"] = _format_json(parameters.response_format)
    return fields


def _format_json(form: ResponseFormat) -> canonical_json.JsonValue:
    schema = schema_of(form)
    if schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "schema": schema}
