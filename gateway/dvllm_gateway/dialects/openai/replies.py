"""Bodies of replies, with the fields that OpenAI's clients read."""

from typing import Literal

from dvllm_gateway.dialects.openai.wire import Wire


class UsageReply(Wire):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CandidateReply(Wire):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenReply(CandidateReply):
    top_logprobs: list[CandidateReply]


class ChatLogprobs(Wire):
    content: list[TokenReply]
    refusal: None = None


class TextLogprobs(Wire):
    """Of an echo too, whose first token nothing precedes: it has null for a rating."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CalledFunction(Wire):
    name: str
    arguments: str


class CallReply(Wire):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class CallDelta(CallReply):
    index: int


class ChatMessage(Wire):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None


class CallingMessage(ChatMessage):
    """One of its own, since clients expect no calls where there are none, not even null."""

    tool_calls: list[CallReply]


class ChatChoice(Wire):
    index: int
    message: CallingMessage | ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: str


class ChatReply(Wire):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageReply


class ClosingDelta(Wire):
    """Nothing new. What a chunk does not tell is left out of it: some clients take no null."""


class TextDelta(Wire):
    content: str


class OpeningDelta(TextDelta):
    role: Literal["assistant"] = "assistant"


class CallingDelta(Wire):
    tool_calls: list[CallDelta]


Delta = OpeningDelta | TextDelta | CallingDelta | ClosingDelta


class ChatChunkChoice(Wire):
    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None = None


class ChatChunk(Wire):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: UsageReply | None = None


class TextChoice(Wire):
    index: int
    text: str
    logprobs: TextLogprobs | None = None
    finish_reason: str | None = None


class TextReply(Wire):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: UsageReply | None = None


class ModelReply(Wire):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelsReply(Wire):
    object: Literal["list"] = "list"
    data: list[ModelReply]


class EmbeddingItem(Wire):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingsReply(Wire):
    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: UsageReply


class ErrorBody(Wire):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(Wire):
    error: ErrorBody
