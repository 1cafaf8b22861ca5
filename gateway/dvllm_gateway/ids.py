"""Ids of the gateway's own things. A task is one ULID, whatever prefix a dialect shows it with."""

from typing import NewType

from ulid import ULID

from dvllm_gateway.errors import NotFound

TaskId = NewType("TaskId", str)
AccountId = NewType("AccountId", str)
KeyId = NewType("KeyId", str)

TASK_PREFIXES = ("task_", "inf_", "chatcmpl-", "cmpl-")


def new_task_id() -> TaskId:
    """Sortable by the time of its making."""
    return TaskId(str(ULID()))


def read_task_id(text: str) -> TaskId:
    """With or without any dialect's prefix. Raises NotFound: no task has a malformed id."""
    bare = text
    for prefix in TASK_PREFIXES:
        bare = bare.removeprefix(prefix)
    try:
        return TaskId(str(ULID.from_str(bare.upper())))
    except ValueError:
        raise NotFound("there is no such task") from None
