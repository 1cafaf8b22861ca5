"""What callers hand to a client, as the types the library works with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import Message, SamplingParameters
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.prompts import PromptDocument, chat_prompt, embedding_prompt
from decentralized_vllm.protocol.tools import Tools
from decentralized_vllm.requester.tasks import Task
from decentralized_vllm.requester.tool_inputs import read_calls

Prompt: TypeAlias = str | Iterable[Message | Mapping[str, Any]]
TaskOrId: TypeAlias = Task | int


def make_document(
    prompt: Prompt, parameters: SamplingParameters, tools: Tools | None = None
) -> PromptDocument:
    """A question, or the messages of a chat. Raises InvalidPrompt for what is neither."""
    if not isinstance(prompt, str):
        messages = tuple(_message(message) for message in prompt)
        return PromptDocument(messages=messages, parameters=parameters, tools=tools)
    if not prompt.strip():
        raise InvalidPrompt("the prompt is empty")
    return replace(chat_prompt(prompt, parameters), tools=tools)


def make_embedding_document(texts: str | Iterable[str]) -> PromptDocument:
    """One text is a list of one: its letters are meant by nobody."""
    return embedding_prompt([texts] if isinstance(texts, str) else [*texts])


def job_id_of(task: TaskOrId) -> JobId:
    return task.id if isinstance(task, Task) else JobId(int(task))


def _message(message: Message | Mapping[str, Any]) -> Message:
    """Whoever calls tools need not say anything beside it."""
    if isinstance(message, Message):
        return message
    if not isinstance(message, Mapping):
        raise InvalidPrompt("a message has a role and a content")
    calls = read_calls(message.get("tool_calls") or ())
    content = message.get("content")
    if content is None and calls:
        content = ""
    if content is None or "role" not in message:
        raise InvalidPrompt("a message has a role and a content")
    return Message(message["role"], content, calls, message.get("tool_call_id"))
