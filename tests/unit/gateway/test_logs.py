import logging
from collections.abc import Iterator

import pytest
from pydantic_core import from_json

from dvllm_gateway.logs import set_up_logging

SECRET = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json__of_a_line__has_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(log_format="json", level="info", secrets=[])
    logging.getLogger("some.part").info("request", extra={"status": 200, "operation": "getStatus"})

    line = from_json(capsys.readouterr().err)
    assert line["event"] == "request"
    assert (line["status"], line["operation"], line["level"]) == (200, "getStatus", "info")
    assert line["logger"] == "some.part"
    assert line["time"].endswith("Z")


def test_json__amounts_of_wei_and_broken_text__are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging(log_format="json", level="info", secrets=[])
    logging.getLogger("some.part").info("paid", extra={"wei": 10**30, "to": "half \ud800"})

    text = capsys.readouterr().err
    assert '"wei": ' + str(10**30) in text
    assert '"event": "paid"' in text


def test_text__of_a_line__is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(log_format="text", level="info", secrets=[])
    logging.getLogger("some.part").warning("it is %s", "late", extra={"job_id": 7})

    line = capsys.readouterr().err
    assert "it is late" in line and "job_id=7" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_secret__in_a_message_field_or_traceback__is_masked(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    set_up_logging(log_format=log_format, level="info", secrets=[SECRET])  # type: ignore[arg-type]
    log = logging.getLogger("some.part")
    try:
        raise ValueError(f"bad key {SECRET[2:]}")
    except ValueError:
        log.exception("key %s", SECRET, extra={"key": SECRET})

    text = capsys.readouterr().err
    assert SECRET[2:] not in text
    assert "ValueError" in text


def test_level__below_the_set_one__is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(log_format="text", level="warning", secrets=[])
    logging.getLogger("some.part").info("nothing")

    assert capsys.readouterr().err == ""
