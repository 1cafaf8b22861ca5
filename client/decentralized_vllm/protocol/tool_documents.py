"""How prompt and response documents tell of tools and calls."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import from_json

from decentralized_vllm.protocol.canonical_json import JsonValue
from decentralized_vllm.protocol.documents import Schema
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.json_schemas import schema_format
from decentralized_vllm.protocol.tool_schemas import forced_schema, parameters_text
from decentralized_vllm.protocol.tools import (
    ID_PATTERN,
    MAX_CALLS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_SCHEMAS_BYTES,
    MAX_TOOLS,
    NAME_PATTERN,
    Tool,
    ToolCall,
    Tools,
)

ToolName = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS, pattern=NAME_PATTERN)]
CallId = Annotated[str, Field(max_length=MAX_ID_CHARACTERS, pattern=ID_PATTERN)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION_CHARACTERS)]


class CallSchema(Schema):
    id: CallId
    name: ToolName
    arguments: str

    def to_call(self) -> ToolCall:
        return ToolCall(self.id, self.name, self.arguments)


# Never an empty list: what is not there is left out, so that one meaning has one form.
Calls = Annotated[list[CallSchema], Field(min_length=1, max_length=MAX_CALLS, fail_fast=True)]


class ToolSchema(Schema):
    name: ToolName
    description: Description = ""
    parameters: dict[str, Any] | None = None

    def to_tool(self) -> Tool:
        return tool(self.name, self.description, self.parameters)


class NamedToolSchema(Schema):
    name: ToolName


ToolList = Annotated[list[ToolSchema], Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)]
ToolChoice = Literal["auto", "required"] | NamedToolSchema


def tool(name: str, description: str, parameters: dict[str, Any] | None) -> Tool:
    """Raises InvalidPrompt for a schema out of bounds."""
    try:
        text = None if parameters is None else parameters_text(parameters)
    except InvalidPrompt as error:
        raise InvalidPrompt(f"tools.{name}.{error.message}") from error
    return Tool(name, description, text)


def checked_tools(
    functions: Iterable[Tool],
    *,
    must_call: bool = False,
    named: str | None = None,
    are_parallel: bool = True,
) -> Tools:
    """Raises InvalidPrompt for names that are not clear, and for what can not be forced."""
    offered = tuple(_within_bounds(functions))
    names = [each.name for each in offered]
    if len(set(names)) < len(names):
        raise InvalidPrompt("tools: a name is given twice")
    if named is not None and named not in names:
        raise InvalidPrompt("tool_choice: names none of the tools")
    tools = Tools(offered, must_call, named, are_parallel)
    if tools.are_forced:
        _check_grammar(tools)
    return tools


def _within_bounds(functions: Iterable[Tool]) -> Iterator[Tool]:
    """Looks at no more of them than that."""
    n_bytes = 0
    for each in functions:
        n_bytes += len((each.parameters or "").encode())
        if n_bytes > MAX_SCHEMAS_BYTES:
            raise InvalidPrompt(f"tools: more than {MAX_SCHEMAS_BYTES} bytes of schemas")
        yield each


def _check_grammar(tools: Tools) -> None:
    """What is forced is compiled by an engine: held to what any schema is that is."""
    try:
        schema_format(forced_schema(tools))
    except InvalidPrompt as error:
        raise InvalidPrompt(f"tools: can not be forced: {error.message}") from error


def tools_json(tools: Tools | None) -> dict[str, JsonValue]:
    """Fields of a prompt document; none for a prompt without tools, as ever."""
    if tools is None:
        return {}
    fields: dict[str, JsonValue] = {"tools": [_tool_json(each) for each in tools.functions]}
    if tools.named is not None:
        fields["tool_choice"] = {"name": tools.named}
    elif tools.must_call:
        fields["tool_choice"] = "required"
    if not tools.are_parallel:
        fields["parallel_tool_calls"] = False
    return fields


def calls_json(calls: Sequence[ToolCall]) -> dict[str, JsonValue]:
    """The field of a message or a response document; none where nothing is called."""
    if not calls:
        return {}
    told: list[JsonValue] = [
        {"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls
    ]
    return {"tool_calls": told}


def _tool_json(each: Tool) -> JsonValue:
    fields: dict[str, JsonValue] = {"name": each.name}
    if each.description:
        fields["description"] = each.description
    if each.parameters is not None:
        fields["parameters"] = from_json(each.parameters)
    return fields
