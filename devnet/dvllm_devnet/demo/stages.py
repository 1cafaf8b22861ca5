"""Seconds of a job's stages, from the lines a worker writes about it in its JSON log."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ValidationError

from dvllm_devnet.demo.report import StageSeconds
from dvllm_worker.pipeline.stages import Stage

StageTimes = dict[Stage, float]


class _StageLine(BaseModel):
    time: datetime
    job_id: int
    stage: Stage


def read_stage_times(log: Path, job_id: int) -> StageTimes:
    """Unix time at which each stage of the job was reached, the last time it was."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        return stage_times(lines, job_id)


def stage_times(lines: Iterable[str], job_id: int) -> StageTimes:
    times: StageTimes = {}
    for line in lines:
        try:
            entry = _StageLine.model_validate_json(line)
        except ValidationError:  # a line about something else
            continue
        if entry.job_id == job_id:
            times[entry.stage] = entry.time.timestamp()
    return times


def stage_seconds(times: StageTimes, submitted_at: float, total_s: float) -> StageSeconds:
    """`submitted_at` is the Unix time of the submission. Raises KeyError: a stage is missing."""
    leased, fetched = times[Stage.LEASED], times[Stage.FETCHED]
    generated, published = times[Stage.GENERATED], times[Stage.PUBLISHED]
    return StageSeconds(
        chain_wait=_span(submitted_at, leased),
        fetch=_span(leased, fetched),
        generate=_span(fetched, generated),
        publish=_span(generated, published),
        submit=_span(published, times[Stage.FINAL]),
        total=round(total_s, 3),
    )


def _span(start: float, end: float) -> float:
    return round(max(0.0, end - start), 3)
