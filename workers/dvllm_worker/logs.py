"""One readable line per event, or one JSON object; secrets are masked in the formatter."""

import json
import logging
import sys
import time
from collections.abc import Collection
from typing import Any, Literal

from decentralized_vllm.process.log_records import spare_what_is_not_shown
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import Cid, JobId
from dvllm_worker.pipeline.ports import Onlooker
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage

MASK = "***"
MIN_SECRET_CHARACTERS = 6
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

log = logging.getLogger("dvllm_worker.jobs")


class MaskingFormatter(logging.Formatter):
    """Cuts known secrets out of whatever is logged, tracebacks of libraries included."""

    def __init__(self, secrets: Collection[str]) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._secrets = [text for text in secrets if len(text) >= MIN_SECRET_CHARACTERS]

    def format(self, record: logging.LogRecord) -> str:
        text = self._text(record)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def _text(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = extra_fields(record)
        pairs = " ".join(f"{name}={value}" for name, value in fields.items())
        head, newline, trace = line.partition("\n")
        return (f"{head}  {pairs}" if pairs else head) + newline + trace


class JsonFormatter(MaskingFormatter):
    def _text(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **extra_fields(record),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return _LINE.encode(entry)


_LINE = json.JSONEncoder(ensure_ascii=False, default=str)  # `dumps` would build one per line


def extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}


def set_up_logging(
    *, log_format: Literal["text", "json"], level: str, secrets: Collection[str]
) -> None:
    """Everything goes to standard error: standard output belongs to results."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter if log_format == "json" else MaskingFormatter
    handler.setFormatter(formatter(secrets))
    spare_what_is_not_shown()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("asyncio", "aiohttp", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class JobLog:
    """An Onlooker that writes one line per stage of a job; never its prompt or its answer."""

    def __init__(self) -> None:
        self._since_s: dict[JobId, float] = {}

    def on_stage(self, row: JobRow) -> None:
        now_s = time.monotonic()
        began_s = self._since_s.get(row.job_id, now_s)
        log.log(
            logging.WARNING if row.stage is Stage.LOST else logging.INFO,
            "job %s %s",
            row.job_id,
            row.stage.value,
            extra={**stage_fields(row), "elapsed_s": round(now_s - began_s, 3)},
        )
        if row.stage in (Stage.FINAL, Stage.FAILED, Stage.LOST):
            self._since_s.pop(row.job_id, None)
        elif row.stage is not Stage.TAKING:  # most are others': no end of theirs is told
            self._since_s[row.job_id] = began_s

    def on_trouble(self, row: JobRow, error: DvllmError) -> None:
        log.warning("job %s tries again: %s", row.job_id, error, extra={"job_id": row.job_id})

    def on_text(self, job_id: JobId, text: str, n_tokens: int) -> None:
        """Answers are nobody's business but the requester's."""

    def on_answer(self, job_id: JobId, cid: Cid, document: bytes) -> None:
        """As with its text."""


def stage_fields(row: JobRow) -> dict[str, Any]:
    """What is worth telling at this stage."""
    fields: dict[str, Any] = {"job_id": row.job_id, "stage": row.stage.value}
    if row.stage is Stage.LEASED:
        fields |= {"model_id": row.request.model_id, "until_s": row.until_s}
    if row.stage is Stage.GENERATED and row.usage is not None:
        fields |= {
            "prompt_tokens": row.usage.n_prompt_tokens,
            "output_tokens": row.usage.n_output_tokens,
        }
    if row.stage is Stage.PUBLISHED:
        fields["response_cid"] = row.response_cid
    if row.stage in (Stage.SUBMITTED, Stage.FINAL):
        fields["tx_hash"] = row.tx_hash
    if row.stage in (Stage.FAILING, Stage.FAILED, Stage.LOST):
        fields["reason"] = row.reason
        if row.failure is not None:
            fields["failure"] = row.failure.name.lower()
    return fields


class Onlookers:
    """Tells several at once."""

    def __init__(self, *onlookers: Onlooker) -> None:
        self._onlookers = onlookers

    def on_stage(self, row: JobRow) -> None:
        for onlooker in self._onlookers:
            onlooker.on_stage(row)

    def on_trouble(self, row: JobRow, error: DvllmError) -> None:
        for onlooker in self._onlookers:
            onlooker.on_trouble(row, error)

    def on_text(self, job_id: JobId, text: str, n_tokens: int) -> None:
        for onlooker in self._onlookers:
            onlooker.on_text(job_id, text, n_tokens)

    def on_answer(self, job_id: JobId, cid: Cid, document: bytes) -> None:
        for onlooker in self._onlookers:
            onlooker.on_answer(job_id, cid, document)
