"""How this dialect writes values: camelCase names, ISO times, numbers that JavaScript can hold."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from decentralized_vllm.protocol.documents import MAX_SAFE_INTEGER
from decentralized_vllm.protocol.ids import JobId

JobNumber = int | str | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wire(BaseModel):
    """Base of all bodies. Strict: text is no number, and true is no 1."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )


class QueryWire(Wire):
    """Base of query strings, where every value is text."""

    model_config = ConfigDict(strict=False)


@lru_cache(maxsize=8192)  # a task that is read again has the same times
def iso_time(at_ms: int) -> str:
    """Unix milliseconds as UTC with milliseconds and a Z."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_time_or_none(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_time(at_ms)


def job_number(job_id: JobId | None) -> JobNumber:
    """A uint256 as a number where JSON readers keep it whole, as decimal text above."""
    if job_id is None or job_id <= MAX_SAFE_INTEGER:
        return job_id
    return str(int(job_id))
