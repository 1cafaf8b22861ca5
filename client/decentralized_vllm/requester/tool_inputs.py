"""Tools and calls as callers have them: in the shape of OpenAI's API."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, ValidationError

from decentralized_vllm.protocol.documents import Schema, describe
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.tool_documents import (
    CallId,
    Description,
    ToolName,
    checked_tools,
    tool,
)
from decentralized_vllm.protocol.tools import MAX_TOOLS, Tool, ToolCall, Tools

OfferedTools: TypeAlias = Iterable[Mapping[str, Any]]
ToolChoice: TypeAlias = str | Mapping[str, Any]


def offered_tools(
    tools: OfferedTools | None, tool_choice: ToolChoice | None, parallel_tool_calls: bool
) -> Tools | None:
    """Raises InvalidPrompt. Who wants no call offers no tool, as far as nodes are told."""
    listed = [] if tools is None else _listed(tools)
    choice = None if tool_choice is None else _choice(tool_choice)
    named = choice.function.name if isinstance(choice, _NamedChoice) else None
    if not listed and (named is not None or choice == "required"):
        raise InvalidPrompt("tool_choice: there are no tools")
    if not listed or choice == "none":
        return None
    return checked_tools(
        listed, must_call=choice == "required", named=named, are_parallel=parallel_tool_calls
    )


def read_calls(calls: Sequence[ToolCall | Mapping[str, Any]]) -> tuple[ToolCall, ...]:
    """Of a message that an assistant sent earlier. Raises InvalidPrompt."""
    if not isinstance(calls, list | tuple):
        raise InvalidPrompt("tool_calls: must be a list")
    return tuple(call if isinstance(call, ToolCall) else _call(call) for call in calls)


class _FunctionInput(Schema):
    """`strict` changes nothing: a forced call is held to its schema, a chosen one never."""

    name: ToolName
    description: Description | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _ToolInput(Schema):
    type: Literal["function"]
    function: _FunctionInput

    def to_tool(self) -> Tool:
        function = self.function
        return tool(function.name, function.description or "", function.parameters)


class _NamedFunction(Schema):
    name: ToolName


class _NamedChoice(Schema):
    type: Literal["function"]
    function: _NamedFunction


class _Answered(Schema):
    """What somebody's answer had may have more than is told on."""

    model_config = ConfigDict(extra="ignore")


class _CalledFunction(_Answered):
    name: ToolName
    arguments: str


class _CallInput(_Answered):
    id: CallId
    type: Literal["function"] = "function"
    function: _CalledFunction


def _listed(tools: OfferedTools) -> list[Tool]:
    if isinstance(tools, str | Mapping):
        raise InvalidPrompt("tools: must be a list")
    listed = list(tools)
    if len(listed) > MAX_TOOLS:
        raise InvalidPrompt(f"tools: {len(listed)}, more than {MAX_TOOLS}")
    return [_tool(each, index) for index, each in enumerate(listed)]


def _tool(given: Mapping[str, Any], index: int) -> Tool:
    try:
        return _ToolInput.model_validate(given).to_tool()
    except ValidationError as error:
        raise InvalidPrompt(f"tools.{index}.{describe(error)}") from None


def _choice(given: ToolChoice) -> str | _NamedChoice:
    if isinstance(given, str):
        if given not in ("none", "auto", "required"):
            raise InvalidPrompt("tool_choice: none, auto, required, or one that names a function")
        return given
    try:
        return _NamedChoice.model_validate(given)
    except ValidationError as error:
        raise InvalidPrompt(f"tool_choice.{describe(error)}") from None


def _call(given: Mapping[str, Any]) -> ToolCall:
    try:
        call = _CallInput.model_validate(given)
    except ValidationError as error:
        raise InvalidPrompt(f"tool_calls: {describe(error)}") from None
    return ToolCall(call.id, call.function.name, call.function.arguments)
