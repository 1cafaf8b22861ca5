"""Tools from a file, as `dvllm submit --tools` takes them."""

from pathlib import Path
from typing import Any

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidPrompt, SettingError
from decentralized_vllm.requester.tool_inputs import offered_tools

_WORDS = ("auto", "required", "none")


def tool_options(path: str | None, choice: str | None) -> dict[str, Any]:
    """What `submit_task` takes. Raises SettingError, which names the option at fault."""
    if path is None:
        if choice is not None:
            raise SettingError("tool_choice", "there are no tools", hint="give them with --tools")
        return {}
    tools = _tools_in(path)
    chosen = _choice(choice)
    try:
        offered_tools(tools, chosen, parallel_tool_calls=True)
    except InvalidPrompt as error:
        place, _, reason = error.message.partition(": ")
        if place.startswith("tool_choice"):
            raise SettingError("tool_choice", reason) from error
        raise SettingError("tools", f"{path}: {error.message}") from error
    return {"tools": tools, "tool_choice": chosen}


def _tools_in(path: str) -> list[Any]:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_PROMPT_BYTES + 1)
        tools = canonical_json.decode(data, max_bytes=MAX_PROMPT_BYTES)
    except OSError as error:
        raise SettingError("tools", f"{path} can not be read: {error.strerror}") from error
    except InvalidDocument as error:
        raise SettingError("tools", f"{path}: {error.message}") from error
    if not isinstance(tools, list) or not tools:
        raise SettingError("tools", f"{path}: must be a JSON list of tools")
    return tools


def _choice(given: str | None) -> str | dict[str, Any] | None:
    """Another word than OpenAI's three is the name of a tool."""
    if given is None or given in _WORDS:
        return given
    return {"type": "function", "function": {"name": given}}
