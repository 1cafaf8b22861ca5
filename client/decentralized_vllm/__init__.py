"""Client library: submit a prompt from a wallet, get a verified answer or the money back.

Names are imported when they are first used: a command line or a worker that needs a corner of the
library does not pay for all of it.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decentralized_vllm.aio import AsyncClient
    from decentralized_vllm.client import Client
    from decentralized_vllm.protocol.errors import (
        CeilingTooLow,
        ChainUnavailable,
        ContentUnavailable,
        DvllmError,
        InsufficientFunds,
        InvalidPrompt,
        InvalidReceipt,
        InvalidResponse,
        JobCancelled,
        JobEnded,
        JobExpired,
        JobFailed,
        NodesBusy,
        NotServed,
        PermanentError,
        RetryableError,
        SettingError,
        UnknownJob,
        UnknownModel,
        WaitTimeout,
    )
    from decentralized_vllm.protocol.generation import Message, Usage
    from decentralized_vllm.protocol.tools import ToolCall
    from decentralized_vllm.requester.tasks import (
        Balance,
        Model,
        Task,
        TaskProgress,
        TaskStatus,
        Timing,
    )
    from decentralized_vllm.settings import ClientSettings

__all__ = [
    "AsyncClient",
    "Balance",
    "CeilingTooLow",
    "ChainUnavailable",
    "Client",
    "ClientSettings",
    "ContentUnavailable",
    "DvllmError",
    "InsufficientFunds",
    "InvalidPrompt",
    "InvalidReceipt",
    "InvalidResponse",
    "JobCancelled",
    "JobEnded",
    "JobExpired",
    "JobFailed",
    "Message",
    "Model",
    "NodesBusy",
    "NotServed",
    "PermanentError",
    "RetryableError",
    "SettingError",
    "Task",
    "TaskProgress",
    "TaskStatus",
    "Timing",
    "ToolCall",
    "UnknownJob",
    "UnknownModel",
    "Usage",
    "WaitTimeout",
]

# Programs decide whether and where the library's log is seen.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_HOMES = {
    "AsyncClient": "aio",
    "Client": "client",
    "ClientSettings": "settings",
    "Message": "protocol.generation",
    "ToolCall": "protocol.tools",
    "Usage": "protocol.generation",
    **dict.fromkeys(
        ("Balance", "Model", "Task", "TaskProgress", "TaskStatus", "Timing"), "requester.tasks"
    ),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "protocol.errors")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
