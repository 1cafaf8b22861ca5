"""Messages of a chat, as OpenAI's clients send them."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from decentralized_vllm.protocol.generation import Message
from decentralized_vllm.protocol.tool_documents import CallId
from dvllm_gateway.dialects.openai.tools import CallList
from dvllm_gateway.dialects.openai.wire import Wire


class TextPart(Wire):
    type: Literal["text"]
    text: str


def _parts(value: Any) -> Any:
    """As a union, a part that is no text would be told to be a string."""
    if isinstance(value, str):
        return [TextPart(type="text", text=value)]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("text_or_parts", "Input should be a valid string or list of parts")


Content: TypeAlias = Annotated[
    list[TextPart],
    Field(fail_fast=True),
    BeforeValidator(_parts, json_schema_input_type=str | list[TextPart]),
]


class SpokenMessage(Wire):
    """`developer` is what newer clients call the system's voice."""

    role: Literal["system", "developer", "user"]
    content: Content

    def to_message(self) -> Message:
        return Message("system" if self.role == "developer" else self.role, _text(self.content))


class AssistantMessage(Wire):
    """Has text, or calls, or both."""

    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: CallList | None = None

    def to_message(self) -> Message:
        calls = tuple(call.to_call() for call in self.tool_calls or ())
        return Message("assistant", _text(self.content or []), calls)


class ToolMessage(Wire):
    """What one call brought."""

    role: Literal["tool"]
    content: Content
    tool_call_id: CallId

    def to_message(self) -> Message:
        return Message("tool", _text(self.content), tool_call_id=self.tool_call_id)


MessageBody = Annotated[SpokenMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


def _text(content: list[TextPart]) -> str:
    return "".join(part.text for part in content)
