"""Bodies of requests, as OpenAI's clients send them."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from decentralized_vllm.protocol.documents import MAX_SAFE_INTEGER, MAX_TOKENS_OF_TERMS
from decentralized_vllm.protocol.embeddings import MAX_INPUTS
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.logprobs import MAX_TOP_LOGPROBS
from decentralized_vllm.protocol.parameters import (
    MAX_PENALTY,
    MAX_STOP_CHARACTERS,
    MAX_STOP_SEQUENCES,
)
from decentralized_vllm.protocol.prompts import (
    MAX_MESSAGES,
    MAX_PROMPT_TOKEN_IDS,
    MAX_TOKEN_ID,
)
from dvllm_gateway.dialects.openai.lists import (
    form_of_prompt,
    one_or_more,
    one_or_more_prompts,
    one_or_more_texts,
)
from dvllm_gateway.dialects.openai.messages import MessageBody
from dvllm_gateway.dialects.openai.tools import ToolsBody
from dvllm_gateway.dialects.openai.wire import Wire
from dvllm_gateway.http.numbers import WHOLE

MAX_CHOICES = 8
MAX_PROMPTS = 8

ModelName = Annotated[str, Field(min_length=1, max_length=256)]
StopText = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARACTERS)]
_Stops = Annotated[list[StopText], Field(max_length=MAX_STOP_SEQUENCES, fail_fast=True)]
Stops = Annotated[_Stops, one_or_more(StopText | _Stops)]
_TokenId = Annotated[int, Field(ge=0, le=MAX_TOKEN_ID), WHOLE]
TokenIds = Annotated[
    list[_TokenId], Field(min_length=1, max_length=MAX_PROMPT_TOKEN_IDS, fail_fast=True)
]
_Prompt = Annotated[
    Annotated[str, Tag("text")] | Annotated[TokenIds, Tag("tokens")], Discriminator(form_of_prompt)
]
_Several = Field(min_length=1, max_length=MAX_PROMPTS, fail_fast=True)
_SentPrompts = str | Annotated[list[str], _Several] | TokenIds | Annotated[list[TokenIds], _Several]
Prompts = Annotated[list[_Prompt], _Several, one_or_more_prompts(_SentPrompts)]
_Inputs = Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True)]
Inputs = Annotated[_Inputs, one_or_more_texts(str | _Inputs)]
Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS_OF_TERMS), WHOLE]
NoneOrTokens = Annotated[int, Field(ge=0, le=MAX_TOKENS_OF_TERMS), WHOLE]


class StreamOptions(Wire):
    include_usage: bool | None = None


class TextFormat(Wire):
    type: Literal["text"]


class ObjectFormat(Wire):
    type: Literal["json_object"]


class NamedSchema(Wire):
    """The name changes nothing, and every schema is held to strictly."""

    name: str = Field(min_length=1, max_length=64)
    schema_: dict[str, Any] = Field(alias="schema")


class SchemaFormat(Wire):
    type: Literal["json_schema"]
    json_schema: NamedSchema


FormatBody = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]
Penalty = Annotated[float, Field(ge=-MAX_PENALTY, le=MAX_PENALTY)]
Likeliest = Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS), WHOLE]


class GenerationBody(Wire):
    """What both kinds of completions share. None is as good as left out."""

    model: ModelName
    max_tokens: Tokens | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES), WHOLE] | None = None
    stop: Stops | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER), WHOLE] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def model_id(self) -> ModelId:
        return ModelId(self.model)

    @property
    def stops(self) -> tuple[str, ...]:
        return tuple(self.stop or ())

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class ChatBody(GenerationBody, ToolsBody):
    messages: list[MessageBody] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Likeliest | None = None
    response_format: FormatBody | None = None


class CompletionBody(GenerationBody):
    """A prompt is a text, or its tokens. No `max_tokens` are of an echo alone."""

    prompt: Prompts
    max_tokens: NoneOrTokens | None = None
    echo: bool | None = None
    logprobs: Likeliest | None = None
    suffix: str | None = None

    def prompt_of(self, choice: int) -> str | list[int]:
        """Choices are in the order of their prompts."""
        return self.prompt[choice // (self.n or 1)]


class EmbeddingBody(Wire):
    model: ModelName
    input: Inputs
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1), WHOLE] | None = None
