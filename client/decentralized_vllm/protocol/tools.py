"""Functions that a model may ask to have called, and the calls it asks for.

Nobody in the network calls anything: a call is a part of an answer, and whoever asked runs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from decentralized_vllm.protocol.errors import InvalidResponse

MAX_TOOLS = 128
MAX_CALLS = 64  # in one message or answer
MAX_SCHEMAS_BYTES = 128 << 10  # of all schemas together
MAX_NAME_CHARACTERS = 64
MAX_ID_CHARACTERS = 128
MAX_DESCRIPTION_CHARACTERS = 16 << 10
NAME_PATTERN = r"^[A-Za-z0-9_-]+$"
ID_PATTERN = r"^[A-Za-z0-9_.:-]+$"


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` is canonical JSON: the schema of the arguments' object. None takes nothing."""

    name: str
    description: str = ""
    parameters: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is text, as a rule JSON: models make mistakes, and limits cut it short."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tools:
    """What may be called. The model chooses, unless it `must_call` any or the one `named`.

    See `tool_documents.checked_tools` for how one gets here.
    """

    functions: tuple[Tool, ...]
    must_call: bool = False
    named: str | None = None
    are_parallel: bool = True

    @property
    def are_forced(self) -> bool:
        return self.must_call or self.named is not None

    @property
    def callable_names(self) -> frozenset[str]:
        if self.named is not None:
            return frozenset({self.named})
        return frozenset(tool.name for tool in self.functions)

    @property
    def max_calls(self) -> int:
        return MAX_CALLS if self.are_parallel and self.named is None else 1


def check_calls(tools: Tools | None, calls: Sequence[ToolCall], *, is_cut: bool) -> None:
    """Raises InvalidResponse for calls that the prompt does not allow, or lacks.

    An answer that was cut at its last token (`is_cut`) may have lost the call it had to make.
    """
    if tools is None:
        if calls:
            raise InvalidResponse("tool_calls: the prompt offers no tools")
        return
    if len(calls) > tools.max_calls:
        raise InvalidResponse(f"tool_calls: more than the {tools.max_calls} asked for")
    if any(call.name not in tools.callable_names for call in calls):
        raise InvalidResponse("tool_calls: a function that was not offered")
    if tools.are_forced and not calls and not is_cut:
        raise InvalidResponse("tool_calls: the prompt demands one")
