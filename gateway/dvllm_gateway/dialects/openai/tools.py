"""Tools as OpenAI's clients send them, and calls as they read them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.tool_documents import (
    CallId,
    Description,
    ToolName,
    checked_tools,
    tool,
)
from decentralized_vllm.protocol.tools import MAX_CALLS, MAX_TOOLS, Tool, ToolCall, Tools
from dvllm_gateway.dialects.openai.replies import CallDelta, CalledFunction, CallReply
from dvllm_gateway.dialects.openai.wire import Wire
from dvllm_gateway.errors import InvalidRequest


class FunctionBody(Wire):
    """`strict` is not asked for: a forced call is always held to its schema, a chosen one never."""

    name: ToolName
    description: Description | None = None
    parameters: dict[str, Any] | None = None


class ToolBody(Wire):
    type: Literal["function"]
    function: FunctionBody

    def to_tool(self) -> Tool:
        """Raises InvalidPrompt."""
        function = self.function
        return tool(function.name, function.description or "", function.parameters)


class NamedFunction(Wire):
    name: ToolName


class NamedChoice(Wire):
    type: Literal["function"]
    function: NamedFunction


class CallFunctionBody(Wire):
    name: ToolName
    arguments: str


class CallBody(Wire):
    id: CallId
    type: Literal["function"]
    function: CallFunctionBody

    def to_call(self) -> ToolCall:
        return ToolCall(self.id, self.function.name, self.function.arguments)


ToolList = Annotated[list[ToolBody], Field(max_length=MAX_TOOLS, fail_fast=True)]
CallList = Annotated[list[CallBody], Field(max_length=MAX_CALLS, fail_fast=True)]


def _form_of_choice(value: Any) -> str:
    """Without it, what is wrong in an object would be told to be no word."""
    return "named" if isinstance(value, dict | NamedChoice) else "word"


Choice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")]
    | Annotated[NamedChoice, Tag("named")],
    Discriminator(_form_of_choice),
]


class ToolsBody(Wire):
    """What of a chat's body is about tools."""

    tools: ToolList | None = None
    tool_choice: Choice | None = None
    parallel_tool_calls: bool | None = None
    functions: Any = None
    function_call: Any = None

    @property
    def offered(self) -> Tools | None:
        """Raises InvalidRequest. Who wants no call offers no tool, as far as nodes are told."""
        self._refuse_deprecated()
        choice = self.tool_choice
        named = choice.function.name if isinstance(choice, NamedChoice) else None
        if not self.tools and (named is not None or choice == "required"):
            raise InvalidRequest("tool_choice: there are no tools", field="tool_choice")
        if not self.tools or choice == "none":
            return None
        try:
            return checked_tools(
                (each.to_tool() for each in self.tools),
                must_call=choice == "required",
                named=named,
                are_parallel=self.parallel_tool_calls is not False,
            )
        except InvalidPrompt as error:
            raise InvalidRequest(error.message, field=_field(error)) from error

    def _refuse_deprecated(self) -> None:
        if self.functions:
            raise InvalidRequest("functions: is deprecated, send tools", field="functions")
        if self.function_call not in (None, "none", "auto"):
            raise InvalidRequest(
                "function_call: is deprecated, send tools and tool_choice", field="function_call"
            )


def call_replies(calls: Sequence[ToolCall]) -> list[CallReply]:
    return [CallReply(id=call.id, function=_called(call)) for call in calls]


def call_deltas(calls: Sequence[ToolCall]) -> list[CallDelta]:
    """Each whole in its first piece."""
    return [
        CallDelta(index=index, id=call.id, function=_called(call))
        for index, call in enumerate(calls)
    ]


def _called(call: ToolCall) -> CalledFunction:
    return CalledFunction(name=call.name, arguments=call.arguments)


def _field(error: InvalidPrompt) -> str:
    return "tool_choice" if error.message.startswith("tool_choice") else "tools"
