"""What the transformers adapter and its child say to each other: one JSON object per line.

The child's standard input carries orders, its standard output events.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    FinishReason,
    Message,
    PromptTokenLogprob,
    SamplingParameters,
    TokenLogprob,
)

MAX_ORDER_BYTES = 16 << 20  # a prompt of the largest size a document may have, escaped


@dataclass(frozen=True, slots=True)
class Order:
    """Answer this. `number` is the adapter's own, unique in one life of the child."""

    number: int
    parameters: SamplingParameters
    messages: tuple[Message, ...] | None
    prompt: str | None
    inputs: tuple[str, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    kind: Literal["order"] = "order"


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int
    kind: Literal["cancel"] = "cancel"


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded. Comes once, first."""

    identity: EngineIdentity
    n_context_tokens: int
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer. One of no tokens rates a part of the prompt."""

    number: int
    text: str
    token_ids: tuple[int, ...]
    n_prompt_tokens: int
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    prompt_logprobs: tuple[PromptTokenLogprob, ...] = ()
    kind: Literal["piece"] = "piece"


@dataclass(frozen=True, slots=True)
class Alive:
    """Still reading a long prompt."""

    number: int
    kind: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Refused:
    """The request can not be answered by this model."""

    number: int
    message: str
    is_too_long: bool = False
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True)
class Failed:
    """The engine could not answer this time."""

    number: int
    message: str
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more comes of this order, whatever came before; its slot is free."""

    number: int
    kind: Literal["ended"] = "ended"


Command = Order | Cancel
Event = Ready | Piece | Alive | Refused | Failed | Ended

_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="kind")])
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


class WireError(ValueError):
    """A line that is not part of this conversation."""


def command_line(command: Command) -> bytes:
    return _COMMANDS.dump_json(command) + b"\n"


def event_line(event: Event) -> bytes:
    return _EVENTS.dump_json(event) + b"\n"


def read_command(line: bytes) -> Command:
    """Raises WireError."""
    try:
        return _COMMANDS.validate_json(line)
    except ValidationError as error:
        raise WireError(f"not an order: {error.error_count()} faults") from error


def read_event(line: bytes) -> Event:
    """Raises WireError."""
    try:
        return _EVENTS.validate_json(line)
    except ValidationError as error:
        raise WireError(f"not an event: {error.error_count()} faults") from error
