"""Prompt documents: what a requester asks, as bytes behind a CID that anyone may have written.

Text or document? The first character after white space decides: `{` makes it a document, which
must then be valid; anything else is plain text with default parameters. So a broken document is
never answered as if it were text, and a text that begins with `{` goes into a document. The byte
order mark that some editors and shells put before a file is not a part of the document.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import (
    DOCUMENT_VERSION,
    MAX_FIELDS,
    MAX_PROMPT_BYTES,
    Schema,
    Version,
    describe,
)
from decentralized_vllm.protocol.embeddings import MAX_INPUTS
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidPrompt
from decentralized_vllm.protocol.generation import (
    Feature,
    GenerationRequest,
    Message,
    SamplingParameters,
)
from decentralized_vllm.protocol.logprobs import MAX_TOKENS_WITH_LOGPROBS
from decentralized_vllm.protocol.parameters import ParametersSchema, parameters_json
from decentralized_vllm.protocol.tool_documents import (
    CallId,
    Calls,
    NamedToolSchema,
    ToolChoice,
    ToolList,
    calls_json,
    checked_tools,
    tools_json,
)
from decentralized_vllm.protocol.tools import Tools

MAX_MESSAGES = 1024
MAX_PROMPT_TOKEN_IDS = 1 << 17  # a document has room for as many, of any vocabulary in use
MAX_TOKEN_ID = (1 << 31) - 1  # engines keep ids in 32 bits, with a sign

_JSON_WHITE_SPACE = " \t\r\n"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class PromptDocument:
    """Exactly one of `messages` (type "chat"), `prompt` (type "completion"), `token_ids` (type
    "tokens") and `inputs` (type "embedding") is given.

    `tools` come with messages only. Vectors are not sampled: they have no parameters. Token ids are
    those of the model's own tokenizer; only an engine can tell which of them there are.
    """

    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    parameters: SamplingParameters = field(default_factory=SamplingParameters)
    tools: Tools | None = None
    inputs: tuple[str, ...] | None = None
    token_ids: tuple[int, ...] | None = None

    @property
    def features(self) -> frozenset[Feature]:
        """What a node must be able to do to answer as asked."""
        return self.to_request("").features

    def to_request(self, request_id: str) -> GenerationRequest:
        return GenerationRequest(
            request_id,
            self.parameters,
            self.messages,
            self.prompt,
            self.tools,
            self.inputs,
            self.token_ids,
        )

    def to_bytes(self) -> bytes:
        """Canonical bytes; their CID names the prompt. Raises InvalidPrompt."""
        if self.inputs is not None:
            return _checked_bytes(
                {"version": DOCUMENT_VERSION, "type": "embedding", "input": [*self.inputs]}
            )
        body: dict[str, canonical_json.JsonValue] = {
            "version": DOCUMENT_VERSION,
            "parameters": parameters_json(self.parameters),
            **tools_json(self.tools),
        }
        if self.messages is not None:
            body["type"] = "chat"
            body["messages"] = [_message_json(message) for message in self.messages]
        elif self.token_ids is not None:
            body["type"] = "tokens"
            body["token_ids"] = [*self.token_ids]
        else:
            body["type"] = "completion"
            body["prompt"] = self.prompt
        return _checked_bytes(body)


def chat_prompt(text: str, parameters: SamplingParameters) -> PromptDocument:
    """One question of a user, put through the model's chat template."""
    return PromptDocument(messages=(Message("user", text),), parameters=parameters)


def embedding_prompt(inputs: Sequence[str]) -> PromptDocument:
    return PromptDocument(inputs=tuple(inputs), parameters=SamplingParameters(max_tokens=1))


def parse_prompt(data: bytes) -> PromptDocument:
    """Reads a stranger's prompt. Raises InvalidPrompt."""
    if len(data) > MAX_PROMPT_BYTES:
        raise InvalidPrompt(f"{len(data)} bytes, more than {MAX_PROMPT_BYTES}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidPrompt(f"not UTF-8 at byte {error.start}") from error
    if not text.strip():
        raise InvalidPrompt("the prompt is empty")
    unmarked = text.removeprefix(_BYTE_ORDER_MARK)
    if unmarked.lstrip(_JSON_WHITE_SPACE).startswith("{"):
        return _parse_document(unmarked.encode())
    return chat_prompt(text, SamplingParameters())


class _MessageSchema(Schema):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: Calls | None = None
    tool_call_id: CallId | None = None

    def to_message(self) -> Message:
        calls = tuple(call.to_call() for call in self.tool_calls or ())
        if calls and self.role != "assistant":
            raise InvalidPrompt("messages: tool_calls are an assistant's")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise InvalidPrompt("messages: a tool's, and no other, has a tool_call_id")
        return Message(self.role, self.content, calls, self.tool_call_id)


class _ChatSchema(Schema):
    version: Version
    type: Literal["chat"]
    messages: list[_MessageSchema] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    parameters: ParametersSchema = ParametersSchema()
    tools: ToolList | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None

    def to_document(self) -> PromptDocument:
        if self.parameters.prompt_logprobs:
            raise InvalidPrompt("prompt_logprobs: of raw prompts, not of messages")
        return PromptDocument(
            messages=tuple(message.to_message() for message in self.messages),
            parameters=self.parameters.to_parameters(),
            tools=self._tools(),
        )

    def _tools(self) -> Tools | None:
        choice = self.tool_choice
        if self.tools is None:
            if choice is not None or self.parallel_tool_calls is not None:
                raise InvalidPrompt("tool_choice, parallel_tool_calls: only with tools")
            return None
        return checked_tools(
            (each.to_tool() for each in self.tools),
            must_call=choice == "required",
            named=choice.name if isinstance(choice, NamedToolSchema) else None,
            are_parallel=self.parallel_tool_calls is not False,
        )


class _CompletionSchema(Schema):
    version: Version
    type: Literal["completion"]
    prompt: str = Field(min_length=1)
    parameters: ParametersSchema = ParametersSchema()

    def to_document(self) -> PromptDocument:
        return PromptDocument(prompt=self.prompt, parameters=self.parameters.to_parameters())


class _TokensSchema(Schema):
    version: Version
    type: Literal["tokens"]
    token_ids: list[Annotated[int, Field(ge=0, le=MAX_TOKEN_ID)]] = Field(
        min_length=1, max_length=MAX_PROMPT_TOKEN_IDS, fail_fast=True
    )
    parameters: ParametersSchema = ParametersSchema()

    def to_document(self) -> PromptDocument:
        n_rated = len(self.token_ids) + self.parameters.max_tokens
        if self.parameters.prompt_logprobs and n_rated > MAX_TOKENS_WITH_LOGPROBS:
            limit = f"at most {MAX_TOKENS_WITH_LOGPROBS} tokens, max_tokens included"
            raise InvalidPrompt(f"prompt_logprobs: of {limit}")
        return PromptDocument(
            token_ids=tuple(self.token_ids), parameters=self.parameters.to_parameters()
        )


class _EmbeddingSchema(Schema):
    version: Version
    type: Literal["embedding"]
    input: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1, max_length=MAX_INPUTS)

    def to_document(self) -> PromptDocument:
        return embedding_prompt(self.input)


_AnySchema = _ChatSchema | _CompletionSchema | _TokensSchema | _EmbeddingSchema
_SCHEMAS: dict[str, type[_AnySchema]] = {
    "chat": _ChatSchema,
    "completion": _CompletionSchema,
    "tokens": _TokensSchema,
    "embedding": _EmbeddingSchema,
}


def _parse_document(data: bytes) -> PromptDocument:
    try:
        fields = canonical_json.decode(data, max_bytes=MAX_PROMPT_BYTES, max_fields=MAX_FIELDS)
    except InvalidDocument as error:
        raise InvalidPrompt(error.message) from error
    return _validated(fields)


def _validated(fields: canonical_json.JsonValue) -> PromptDocument:
    kind = fields.get("type") if isinstance(fields, dict) else None
    schema = _SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise InvalidPrompt(f"type: must be one of {', '.join(_SCHEMAS)}")
    try:
        return schema.model_validate(fields).to_document()
    except ValidationError as error:
        raise InvalidPrompt(describe(error)) from None


def _message_json(message: Message) -> canonical_json.JsonValue:
    fields: dict[str, canonical_json.JsonValue] = {
        "role": message.role,
        "content": message.content,
        **calls_json(message.tool_calls),
    }
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _checked_bytes(body: dict[str, canonical_json.JsonValue]) -> bytes:
    """Whoever writes a document is held to the same schema as whoever reads it."""
    _validated(body)
    try:
        data = canonical_json.encode(body)
    except InvalidDocument as error:
        raise InvalidPrompt(error.message) from error
    if len(data) > MAX_PROMPT_BYTES:
        raise InvalidPrompt(f"{len(data)} bytes, more than {MAX_PROMPT_BYTES}")
    return data
