"""One readable line per event, or one JSON object: ours and the libraries' alike, on stderr."""

import json
import logging
import sys
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from decentralized_vllm.process.log_records import spare_what_is_not_shown

MASK = "***"
MIN_SECRET_CHARACTERS = 6

_CHATTY = ("aiohttp", "asyncio", "urllib3", "sqlalchemy", "alembic")
_NO_EXTRAS = frozenset(logging.makeLogRecord({}).__dict__)

_Mask: TypeAlias = Callable[[str], str]


def set_up_logging(
    *, log_format: Literal["text", "json"], level: str, secrets: Collection[str]
) -> None:
    """`secrets` are cut out of every line, tracebacks of libraries included."""
    handler = logging.StreamHandler(sys.stderr)
    mask = _mask_of(secrets)
    handler.setFormatter(JsonLines(mask) if log_format == "json" else _text_lines(mask))
    spare_what_is_not_shown()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _text_lines(mask: _Mask) -> logging.Formatter:
    def masked(_: WrappedLogger, __: str, line: EventDict | str) -> str:
        return mask(str(line))

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False, timestamp_key="time", pad_event_to=0),
            masked,
        ],
    )


class JsonLines(logging.Formatter):
    """What structlog's chain for such lines would make, field by field.

    By hand, since each request writes one: the chain costs it three times the processor.
    """

    def __init__(self, mask: _Mask) -> None:
        super().__init__()
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        line: EventDict = {"event": record.getMessage()}
        if record.stack_info:
            line["stack_info"] = record.stack_info
        line["level"] = record.levelname.lower()
        line["logger"] = record.name
        for name, value in record.__dict__.items():
            if name not in _NO_EXTRAS:
                line[name] = value
        line["time"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if record.exc_info:
            line["exc_info"] = record.exc_info
            line = structlog.processors.format_exc_info(None, "", line)
        return self._mask(_json(line))


def _json(line: EventDict) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:  # a number beyond 64 bits, or half a character
        return json.dumps(line, default=str)


def _mask_of(secrets: Collection[str]) -> _Mask:
    """For rendered lines, when there is nothing but text."""
    known = {
        form
        for secret in secrets
        for form in (secret, secret.removeprefix("0x"))
        if len(form) >= MIN_SECRET_CHARACTERS
    }

    def mask(text: str) -> str:
        for secret in known:
            text = text.replace(secret, MASK)
        return text

    return mask
