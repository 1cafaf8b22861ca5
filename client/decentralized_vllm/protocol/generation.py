"""What is asked of an engine and what it answers, whatever the engine is."""

from dataclasses import dataclass
from enum import StrEnum


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Message:
    role: str  # "system", "user" or "assistant"
    content: str


@dataclass(frozen=True, slots=True)
class SamplingParameters:
    """Defaults are those of a plain-text prompt. Temperature 0 is greedy."""

    max_tokens: int = 100
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: no limit
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Exactly one of `messages` (through the chat template) and `prompt` (raw) is given."""

    request_id: str
    parameters: SamplingParameters
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class GenerationChunk:
    """A piece of an answer. The last chunk, and only it, has a finish reason."""

    text: str
    token_ids: tuple[int, ...]
    n_prompt_tokens: int
    finish_reason: FinishReason | None = None


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
