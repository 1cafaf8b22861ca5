"""What callers hand to a client, as the types the library works with."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import Message, SamplingParameters
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.prompts import PromptDocument, chat_prompt
from decentralized_vllm.requester.tasks import Task

Prompt: TypeAlias = str | Iterable[Message | Mapping[str, str]]
TaskOrId: TypeAlias = Task | int


def make_document(prompt: Prompt, parameters: SamplingParameters) -> PromptDocument:
    """A question, or the messages of a chat. Raises InvalidPrompt for what is neither."""
    if isinstance(prompt, str):
        if not prompt.strip():
            raise InvalidPrompt("the prompt is empty")
        return chat_prompt(prompt, parameters)
    messages = tuple(_message(message) for message in prompt)
    return PromptDocument(messages=messages, parameters=parameters)


def job_id_of(task: TaskOrId) -> JobId:
    return task.id if isinstance(task, Task) else JobId(int(task))


def _message(message: Message | Mapping[str, str]) -> Message:
    if isinstance(message, Message):
        return message
    try:
        return Message(role=message["role"], content=message["content"])
    except (KeyError, TypeError) as error:
        raise InvalidPrompt("a message has a role and a content") from error
