"""Lines of the worker's log, and what is never in them."""

import json
import logging

import pytest

from dvllm_worker.logs import JobLog, JsonFormatter, MaskingFormatter, stage_fields
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import row


def record(text: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, "", 0, text, (), None)
    made.__dict__.update(extra)
    return made


def test_formatter__secret_in_message_field_or_trace__masked() -> None:
    secret = "ab" * 32
    for formatter in (MaskingFormatter([secret]), JsonFormatter([secret])):
        line = formatter.format(record(f"key 0x{secret}", url=f"http://u:{secret}@host"))
        assert secret not in line and "***" in line


def test_json_formatter__one_object_with_its_fields() -> None:
    entry = json.loads(JsonFormatter([]).format(record("job 7 leased", job_id=7)))
    assert (entry["event"], entry["job_id"], entry["level"]) == ("job 7 leased", 7, "info")


@pytest.mark.parametrize("value", [2**80, "half \ud800 a character", b"\xff", ValueError("x")])
def test_json_formatter__a_field_that_json_does_not_know__still_one_line(value: object) -> None:
    line = JsonFormatter([]).format(record("odd", value=value))
    assert json.loads(line)["event"] == "odd"
    assert "\n" not in line


@pytest.mark.parametrize("stage", list(Stage))
def test_stage_fields__any_stage__no_prompt_and_no_answer(stage: Stage) -> None:
    assert {"prompt", "text"}.isdisjoint(stage_fields(row(1, stage)))


def test_job_log__job_that_another_node_was_quicker_to_take__nothing_is_kept_of_it() -> None:
    jobs = JobLog()
    jobs.on_stage(row(1, Stage.TAKING))  # that it is merely seen again is told to nobody
    assert not jobs._since_s
