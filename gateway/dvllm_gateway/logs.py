"""One readable line per event, or one JSON object: ours and the libraries' alike, on stderr."""

import json
import logging
import sys
from collections.abc import Collection
from typing import Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
MIN_SECRET_CHARACTERS = 6

_CHATTY = ("aiohttp", "asyncio", "urllib3", "sqlalchemy", "alembic")


def set_up_logging(
    *, log_format: Literal["text", "json"], level: str, secrets: Collection[str]
) -> None:
    """`secrets` are cut out of every line, tracebacks of libraries included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *_rendered(log_format),
                _masked(secrets),
            ],
        )
    )
    _spare_what_is_not_shown()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _spare_what_is_not_shown() -> None:
    """As the library's documentation advises: no line tells these, and each costs time."""
    logging.logThreads = False
    logging.logProcesses = False
    logging.logMultiprocessing = False
    logging._srcfile = None


def _rendered(log_format: Literal["text", "json"]) -> tuple[Processor, ...]:
    if log_format == "json":
        return (structlog.processors.JSONRenderer(serializer=_json),)
    return (structlog.dev.ConsoleRenderer(colors=False, timestamp_key="time", pad_event_to=0),)


def _json(line: EventDict, **_: object) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # a number beyond 64 bits, or half a character
        return json.dumps(line, default=str)


def _masked(secrets: Collection[str]) -> Processor:
    """After rendering, when there is nothing but text."""
    known = {
        form
        for secret in secrets
        for form in (secret, secret.removeprefix("0x"))
        if len(form) >= MIN_SECRET_CHARACTERS
    }

    def mask(_: WrappedLogger, __: str, line: EventDict | str) -> str:
        text = str(line)
        for secret in known:
            text = text.replace(secret, MASK)
        return text

    return mask
