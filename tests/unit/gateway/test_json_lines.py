"""A line by hand is the line that structlog's own chain makes, whatever a record holds."""

import json
import logging
import re
import sys
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dvllm_gateway.logs import JsonLines

_TIME = re.compile(r'("time": ?")[^"]+"')
_RECORDS_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


def _serialized(line: Any, **_: Any) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:
        return json.dumps(line, default=str)


CHAIN = structlog.stdlib.ProcessorFormatter(
    foreign_pre_chain=[
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ],
    processors=[
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_serialized),
    ],
)
BY_HAND = JsonLines(lambda text: text)


def record(
    message: object = "said", *args: object, level: int = logging.INFO, **extra: object
) -> logging.LogRecord:
    return logging.getLogger("some.part").makeRecord(
        "some.part", level, "(unknown file)", 0, message, args, None, extra=extra
    )


def timeless(line: str) -> str:
    """Both are written at their own moment."""
    text, n_times = _TIME.subn(r"\g<1>then", line, count=1)
    assert n_times == 1
    return text


def check_same(made: logging.LogRecord) -> None:
    assert timeless(BY_HAND.format(made)) == timeless(CHAIN.format(made))


NAMES = st.text("abcdefghijklmnop_", min_size=1).filter(lambda name: name not in _RECORDS_OWN)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)


@given(
    message=st.text(),
    level=st.sampled_from((10, 20, 30, 40, 50, 25)),
    extra=st.dictionaries(NAMES, VALUES, max_size=4),
)
def test_line__of_any_message_level_and_extras__is_the_same(
    message: str, level: int, extra: dict[str, object]
) -> None:
    made = record(message, level=level)
    made.__dict__.update(extra)
    check_same(made)


@pytest.mark.parametrize(
    "made",
    [
        record("it is %s after %d", "late", 7),
        record("it is %(when)s", {"when": "late"}),
        record(ValueError("no text at all")),
        record("100 %"),
        record("amounts", wei=10**30, half="\ud800", kinds={1}, raw=b"\0", of=object),
        record("names", event="mine", level="odd", logger="other", exception="e"),
    ],
)
def test_line__of_odd_records__is_the_same(made: logging.LogRecord) -> None:
    check_same(made)


def test_line__with_an_exception_or_a_stack__is_the_same() -> None:
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("effect\nin two lines") from cause
    except ValueError:
        made = record("failed", job_id=7)
        made.exc_info = sys.exc_info()
    check_same(made)
    assert "KeyError" in BY_HAND.format(made)
    made.stack_info = "Stack (most recent call last):\n  somewhere"
    check_same(made)


def test_line__exception_asked_for_where_there_is_none__is_the_same() -> None:
    made = record("failed")
    made.exc_info = (None, None, None)
    check_same(made)


def test_line__is_masked_when_it_is_text() -> None:
    lines = JsonLines(lambda text: text.replace("secret", "***"))
    line = orjson.loads(lines.format(record("a %s", "secret", key=["secret"], deep={"secret": 1})))
    assert (line["event"], line["key"], line["deep"]) == ("a ***", ["***"], {"***": 1})
