"""What callers hand to a client, as the types the library works with."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, TypeAlias

from decentralized_vllm.protocol.errors import InvalidPrompt, SettingError, UnknownJob
from decentralized_vllm.protocol.generation import Message, SamplingParameters
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.prompts import (
    MAX_PROMPT_TOKEN_IDS,
    MAX_TOKEN_ID,
    PromptDocument,
    chat_prompt,
    embedding_prompt,
)
from decentralized_vllm.protocol.tools import Tools
from decentralized_vllm.requester.tasks import Task
from decentralized_vllm.requester.tool_inputs import read_calls

Prompt: TypeAlias = str | Iterable[Message | Mapping[str, Any]] | Iterable[int]
TaskOrId: TypeAlias = Task | int

LARGEST_JOB_ID = 2**256 - 1


def make_document(
    prompt: Prompt, parameters: SamplingParameters, tools: Tools | None = None
) -> PromptDocument:
    """A question, the messages of a chat, or token ids. Raises InvalidPrompt for anything else."""
    given = prompt.strip() if isinstance(prompt, str) else _listed(prompt)
    if not given:
        raise InvalidPrompt("the prompt is empty")
    if isinstance(prompt, str):
        return replace(chat_prompt(prompt, parameters), tools=tools)
    if not isinstance(given[0], int):
        messages = tuple(map(_message, given))
        return PromptDocument(messages=messages, parameters=parameters, tools=tools)
    if tools is not None:
        raise InvalidPrompt("tools: come with a question or messages, not with token ids")
    return PromptDocument(token_ids=checked_token_ids(given), parameters=parameters)


def checked_token_ids(given: Sequence[Any]) -> tuple[int, ...]:
    """Which of them a model has, its nodes tell. Raises InvalidPrompt."""
    if len(given) > MAX_PROMPT_TOKEN_IDS:
        raise InvalidPrompt(f"prompt: {len(given)} token ids, more than {MAX_PROMPT_TOKEN_IDS}")
    for index, each in enumerate(given):
        if isinstance(each, bool) or not isinstance(each, int):
            kind = type(each).__name__
            raise InvalidPrompt(f"prompt: the token id at index {index} is no int, but a {kind}")
        if not 0 <= each <= MAX_TOKEN_ID:
            raise InvalidPrompt(
                f"prompt: the token id at index {index} is not from 0 to {MAX_TOKEN_ID}"
            )
    return tuple(map(int, given))


def make_embedding_document(texts: str | Iterable[str]) -> PromptDocument:
    """One text is a list of one: its letters are meant by nobody."""
    return embedding_prompt([texts] if isinstance(texts, str) else [*texts])


def job_id_of(task: TaskOrId) -> JobId:
    """Raises UnknownJob for a number that no job can have, TypeError for what is none."""
    if isinstance(task, Task):
        return task.id
    number = int(task) if isinstance(task, str) else operator.index(task)
    if not 0 < number <= LARGEST_JOB_ID:
        raise UnknownJob("there is no such job: numbers are from 1 to 2^256 - 1")
    return JobId(number)


def _listed(prompt: Any) -> list[Any]:
    """Bytes hold ints as well, and sets have no order: neither is meant as token ids."""
    is_list = isinstance(prompt, Iterable)
    if not is_list or isinstance(prompt, bytes | bytearray | memoryview | Mapping | Set):
        raise InvalidPrompt("prompt: must be text, a list of messages, or a list of token ids")
    return list(prompt)


def _message(message: Message | Mapping[str, Any]) -> Message:
    """Whoever calls tools need not say anything beside it."""
    if isinstance(message, Message):
        return message
    if not isinstance(message, Mapping):
        raise InvalidPrompt("a message has a role and a content, and a token id is an int")
    calls = read_calls(message.get("tool_calls") or ())
    content = message.get("content")
    if content is None and calls:
        content = ""
    if content is None or "role" not in message:
        raise InvalidPrompt("a message has a role and a content")
    return Message(message["role"], content, calls, message.get("tool_call_id"))


def checked_timeout(timeout: float | None) -> float | None:
    """Raises SettingError. One that is over already is none to refuse; NaN would stop the loop."""
    is_number = isinstance(timeout, int | float) and not math.isnan(timeout)
    if timeout is not None and not is_number:
        raise SettingError("timeout", f"{timeout!r} is not a number of seconds")
    return timeout
