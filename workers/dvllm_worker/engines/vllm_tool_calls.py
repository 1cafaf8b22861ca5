"""Calls of tools out of a vLLM server's answers. Pure.

Where the model chooses, the server's own parser finds the calls and tells them in pieces. Where a
call is forced, the text itself is the call: a grammar made it so, whatever model and parser.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from decentralized_vllm.protocol.errors import EngineUnavailable
from decentralized_vllm.protocol.generation import GenerationRequest
from decentralized_vllm.protocol.tool_documents import CallId
from decentralized_vllm.protocol.tools import ToolCall, Tools

_IDS: TypeAdapter[str] = TypeAdapter(CallId)
_ID_CHARACTERS = 9  # and letters or digits: Mistral's templates take no other


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class CallDelta(BaseModel):
    """A piece of the call number `index`."""

    index: int = 0
    id: str | None = None
    function: _Function | None = None


class CallReader(Protocol):
    """Takes an answer in pieces; `calls` are asked for at its end, once."""

    def take(self, text: str, deltas: Sequence[CallDelta]) -> str:
        """What of the piece is text to be shown."""

    def calls(self, *, is_cut: bool) -> tuple[ToolCall, ...]:
        """`is_cut`: the answer came to its last token. Raises EngineUnavailable."""


def call_reader(request: GenerationRequest) -> CallReader:
    tools = request.tools
    if tools is None:
        return NoCalls()
    if tools.named is not None:
        return NamedCall(tools.named, request.request_id)
    return ListedCalls(request.request_id) if tools.must_call else ChosenCalls(tools, request)


class NoCalls:
    def take(self, text: str, deltas: Sequence[CallDelta]) -> str:
        return text

    def calls(self, *, is_cut: bool) -> tuple[ToolCall, ...]:
        return ()


class NamedCall:
    """All of the text is the arguments of one call."""

    def __init__(self, name: str, request_id: str) -> None:
        self._name = name
        self._request_id = request_id
        self._text: list[str] = []

    def take(self, text: str, deltas: Sequence[CallDelta]) -> str:
        self._text.append(text)
        return ""

    def calls(self, *, is_cut: bool) -> tuple[ToolCall, ...]:
        arguments = "".join(self._text).strip()
        return (ToolCall(call_id(self._request_id, 0), self._name, arguments),)


class ListedCalls:
    """The text is a list of calls. Of a list that is cut, those that are whole count."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._text: list[str] = []

    def take(self, text: str, deltas: Sequence[CallDelta]) -> str:
        self._text.append(text)
        return ""

    def calls(self, *, is_cut: bool) -> tuple[ToolCall, ...]:
        return tuple(
            ToolCall(call_id(self._request_id, index), entry.name, _json(entry.parameters))
            for index, entry in enumerate(self._entries(is_cut))
        )

    def _entries(self, is_cut: bool) -> list["_Entry"]:
        text = "".join(self._text)
        try:
            return _ENTRIES.validate_python(_whole(text, is_cut))
        except ValueError as error:  # a ValidationError is one too
            raise EngineUnavailable("the vLLM server broke the grammar of a call") from error


class _Entry(BaseModel):
    name: str
    parameters: dict[str, object]


_ENTRIES: TypeAdapter[list[_Entry]] = TypeAdapter(list[_Entry])


def _whole(text: str, is_cut: bool) -> object:
    """Raises ValueError for what is no JSON, unless it was cut."""
    try:
        return from_json(text)
    except ValueError:
        if not is_cut:
            raise
    if not text.strip():
        return []
    told = from_json(text, allow_partial=True)
    return told[:-1] if isinstance(told, list) else []


def _json(parameters: dict[str, object]) -> str:
    return to_json(parameters).decode()


@dataclass(slots=True)
class _Growing:
    id: str = ""
    name: str = ""
    arguments: str = ""

    def add(self, delta: CallDelta) -> None:
        self.id = self.id or delta.id or ""
        if delta.function is not None:
            self.name += delta.function.name or ""
            self.arguments += delta.function.arguments or ""

    def to_call(self, spare_id: str) -> ToolCall:
        return ToolCall(_known_id(self.id) or spare_id, self.name, self.arguments)


class ChosenCalls:
    """As the server's parser tells them.

    Models make functions up: calls of what was not offered are left out, and those beyond the
    number that was asked for.
    """

    def __init__(self, tools: Tools, request: GenerationRequest) -> None:
        self._tools = tools
        self._request_id = request.request_id
        self._growing: dict[int, _Growing] = {}

    def take(self, text: str, deltas: Sequence[CallDelta]) -> str:
        for delta in deltas:
            self._growing.setdefault(delta.index, _Growing()).add(delta)
        return text

    def calls(self, *, is_cut: bool) -> tuple[ToolCall, ...]:
        offered = self._tools.callable_names
        found = [each for each in self._growing.values() if each.name in offered]
        return tuple(
            each.to_call(call_id(self._request_id, index))
            for index, each in enumerate(found[: self._tools.max_calls])
        )


def call_id(request_id: str, index: int) -> str:
    """Unlike those of other answers, which one conversation may well hold."""
    return hashlib.sha256(f"{request_id}:{index}".encode()).hexdigest()[:_ID_CHARACTERS]


def _known_id(text: str) -> str | None:
    """Parsers choose ids, and templates of the same model know them again."""
    try:
        return _IDS.validate_python(text)
    except ValidationError:
        return None
