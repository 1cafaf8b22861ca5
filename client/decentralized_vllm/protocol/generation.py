"""What is asked of an engine and what it answers, whatever the engine is."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from decentralized_vllm.protocol.tools import ToolCall, Tools


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"  # as STOP, with calls to be made


@dataclass(frozen=True, slots=True)
class Message:
    """What an assistant asked to have called stands beside its text; a tool answers one call."""

    role: str  # "system", "user", "assistant" or "tool"
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Feature(StrEnum):
    """What not every engine does. A node announces those of each model that it serves."""

    LOGPROBS = "logprobs"
    PENALTIES = "penalties"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"
    TOOLS = "tools"  # the model sees them and chooses
    TOOL_CHOICE = "tool_choice"  # some or a certain one must be called
    TOOL_MESSAGES = "tool_messages"  # earlier calls and what they brought
    EMBEDDINGS = "embeddings"  # vectors of texts, see `protocol.embeddings`
    TOKEN_PROMPTS = "token_prompts"  # a prompt given as token ids
    PROMPT_LOGPROBS = "prompt_logprobs"  # how likely the prompt itself is


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The text is to be JSON: any object, or what a schema describes.

    `schema` is canonical JSON; see `json_schemas` for how one gets here.
    """

    schema: str | None = None


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """Defaults are those of a plain-text prompt. Temperature 0 is greedy.

    `logprobs` asks for every token's log-probability and for as many of the likeliest instead of
    it; None asks for neither. With it, `prompt_logprobs` asks the same of a raw prompt's tokens.
    """

    max_tokens: int = 100
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: no limit
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: int | None = None
    response_format: ResponseFormat | None = None
    prompt_logprobs: bool = False

    @property
    def features(self) -> frozenset[Feature]:
        """What these ask of an engine."""
        return frozenset(self._features())

    def _features(self) -> Iterator[Feature]:
        if self.logprobs is not None:
            yield Feature.LOGPROBS
        if self.prompt_logprobs:
            yield Feature.PROMPT_LOGPROBS
        if self.presence_penalty or self.frequency_penalty:
            yield Feature.PENALTIES
        if self.response_format is not None:
            is_any = self.response_format.schema is None
            yield Feature.JSON_OBJECT if is_any else Feature.JSON_SCHEMA


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Exactly one of `messages` (through the chat template), `prompt` (raw), `token_ids` (raw, as
    the model's own tokenizer would make them) and `inputs` is given.

    `tools` come with messages only. For `inputs` the answer is their vectors, which takes no tokens
    (see `protocol.embeddings`).
    """

    request_id: str
    parameters: SamplingParameters
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    tools: Tools | None = None
    inputs: tuple[str, ...] | None = None
    token_ids: tuple[int, ...] | None = None

    @property
    def features(self) -> frozenset[Feature]:
        """What an engine must be able to do to answer as asked."""
        if self.inputs is not None:
            return frozenset({Feature.EMBEDDINGS})
        form = frozenset() if self.token_ids is None else frozenset({Feature.TOKEN_PROMPTS})
        return form | self.parameters.features | tool_features(self.messages, self.tools)


def tool_features(messages: tuple[Message, ...] | None, tools: Tools | None) -> frozenset[Feature]:
    wanted: set[Feature] = set()
    if tools is not None:
        wanted.add(Feature.TOOL_CHOICE if tools.are_forced else Feature.TOOLS)
    if any(message.tool_calls or message.role == "tool" for message in messages or ()):
        wanted.add(Feature.TOOL_MESSAGES)
    return frozenset(wanted)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that might come next: its text, and the natural logarithm of its probability.

    The probability is the model's own, before temperature, penalties and narrowing. The text of a
    token that is no whole character is U+FFFD or empty.
    """

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One output token, and the likeliest at its place, best first."""

    text: str
    logprob: float
    top: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptTokenLogprob:
    """One token of a prompt, as `TokenLogprob`; None of the first, which nothing precedes."""

    text: str
    logprob: float | None
    top: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """A piece of an answer. The last chunk, and only it, has a finish reason, and any calls.

    `logprobs` has one entry for each token id if the request asks for them, else none.
    `prompt_logprobs` of all chunks together have one for each of the prompt's, if it asks for them.
    """

    text: str
    token_ids: tuple[int, ...]
    n_prompt_tokens: int
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    prompt_logprobs: tuple[PromptTokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a node bills: tokens read and tokens made."""

    n_prompt_tokens: int
    n_output_tokens: int


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """What an audit must know to run the same computation again."""

    name: str  # "vllm", "transformers"
    version: str
    dtype: str  # "bfloat16", "float32"
    device: str  # "cpu", "cuda"
