import pytest

from dvllm_devnet.demo.stages import stage_seconds, stage_times
from dvllm_worker.pipeline.stages import Stage


def line(second, stage, job_id=7):
    return (
        f'{{"time": "2026-01-01T00:00:{second:06.3f}Z", "event": "job 7 {stage}", '
        f'"job_id": {job_id}, "stage": "{stage}"}}\n'
    )


LOG = [
    "starting\n",
    '{"time": "2026-01-01T00:00:00.000Z", "event": "ready"}\n',
    line(1.0, "leased"),
    line(1.25, "fetched"),
    line(1.5, "leased", job_id=8),
    line(1.3, "generating"),
    line(5.25, "generated"),
    line(5.5, "published"),
    line(5.6, "submitting"),
    line(6.5, "final"),
    '{"time": "2026-01-01T00:00:07.000Z", "job_id": 7, "stage": "fin',
]


def test_stage_times__other_lines_and_other_jobs__are_passed_over():
    times = stage_times(LOG, 7)
    assert times[Stage.LEASED] - times[Stage.FETCHED] == pytest.approx(-0.25)
    assert Stage.SUBMITTED not in times


def test_stage_seconds__are_the_spans_between_stages():
    times = stage_times(LOG, 7)
    seconds = stage_seconds(times, submitted_at=times[Stage.LEASED] - 0.5, total_s=6.1234)
    assert seconds.model_dump() == {
        "chain_wait": 0.5,
        "fetch": 0.25,
        "generate": 4.0,
        "publish": 0.25,
        "submit": 1.0,
        "total": 6.123,
    }


def test_stage_seconds__stage_missing__is_no_guess():
    with pytest.raises(KeyError):
        stage_seconds(stage_times(LOG[:4], 7), 0, 0)
