"""What may be told of an error that a vLLM server reports: it may quote the prompt. Pure."""

import re
from typing import Any

from pydantic_core import from_json

MAX_SHOWN_CHARACTERS = 400
# Said in these words when the server says them; nothing else of its text is.
KNOWN_WORDS = (
    "context",
    "chat template",
    "out of vocabulary",
    "out of memory",
    "grammar",
    "json_schema",
    "does not support",
    "does not exist",
    "unauthorized",
    "EngineCore",
)
UNTOLD = "for a reason that is logged at level debug"
_TYPE = re.compile(r"[A-Za-z_]{1,40}[Ee]rror")


def told_of(error: object) -> str:
    """Of the error as the server spells it, an object or a text: its type, and what it is about."""
    text = str(error)
    named = [word for word in KNOWN_WORDS if word.lower() in text.lower()]
    return " ".join([*_type(error), ", ".join(named) or UNTOLD])


def told_of_reply(body: bytes) -> str:
    """Of a reply whose status tells of an error, be it JSON or not."""
    try:
        reply = from_json(body)
    except ValueError:
        return told_of(body.decode(errors="replace"))
    return told_of(reply.get("error", reply) if isinstance(reply, dict) else reply)


def own_words(body: bytes) -> str:
    """The server's, as far as they are ever shown."""
    return body[:MAX_SHOWN_CHARACTERS].decode(errors="replace")


def _type(error: Any) -> list[str]:
    kind = error.get("type") if isinstance(error, dict) else None
    return [kind] if isinstance(kind, str) and _TYPE.fullmatch(kind) else []
