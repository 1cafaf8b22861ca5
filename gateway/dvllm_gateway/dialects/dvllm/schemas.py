"""The bodies of the documented API. Fields the documents lack are marked as ours."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dvllm_gateway.dialects.dvllm.wire import JobNumber, QueryWire, Wire
from dvllm_gateway.http.numbers import WHOLE

MAX_PAGE = 100
MAX_ID_CHARACTERS = 256
MAX_NAME_BYTES = 128  # of the registry
MAX_DESCRIPTION_BYTES = 2048
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
BINARY = {"type": "string", "format": "binary"}


def _fits(max_bytes: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text.encode()) > max_bytes:
            raise ValueError(f"more than {max_bytes} bytes of UTF-8")
        return text

    return check


StatusWord = Literal["pending", "running", "completed", "failed"]
Percent = Annotated[float, Field(ge=0, le=100)]
ModelIdText = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARACTERS)]
NameText = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_BYTES), AfterValidator(_fits(MAX_NAME_BYTES))
]
DescriptionText = Annotated[
    str, Field(max_length=MAX_DESCRIPTION_BYTES), AfterValidator(_fits(MAX_DESCRIPTION_BYTES))
]
WalletAddress = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class ErrorBody(Wire):
    code: str
    message: str
    details: str
    timestamp: str


class ErrorReply(Wire):
    error: ErrorBody


# -------------------------------------------------------------------- node


class NetworkStatus(Wire):
    peers: int
    block_number: int


class UsedShares(Wire):
    """Percent of the machine."""

    cpu: float
    memory: float
    gpu: float


class StatusReply(Wire):
    """`uptime` is in seconds; the last three words of `status` are ours."""

    status: Literal["healthy", "degraded", "unhealthy"]
    uptime: int
    version: str
    network: NetworkStatus
    resources: UsedShares


class PeerItem(Wire):
    """`id` is the node's address on chain; `last_seen` null is a node that never answered."""

    id: str
    address: str
    connected: bool
    last_seen: str | None


class PeersReply(Wire):
    peers: list[PeerItem]


class SharesBody(Wire):
    """Percent of the machine."""

    cpu: float
    memory: float
    gpu: float
    storage: float


class ResourcesReply(Wire):
    allocation: SharesBody
    usage: SharesBody
    limits: SharesBody


class ResourcesBody(Wire):
    """Percent of the machine; what is left out stays as it is."""

    cpu: Percent | None = None
    memory: Percent | None = None
    gpu: Percent | None = None
    storage: Percent | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ResourcesBody":
        if not self.model_fields_set:
            raise ValueError("state at least one of cpu, memory, gpu and storage")
        return self


# -------------------------------------------------------------------- tasks


class SubmitBody(Wire):
    """Without `max_tokens`, 100 or the model's limit if that is lower."""

    prompt: Annotated[str, Field(min_length=1)]
    model_id: ModelIdText
    max_tokens: Annotated[int, Field(ge=1), WHOLE] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0


class SubmitReply(Wire):
    """`job_id` is null while the transaction is not mined; `estimated_time` is in seconds."""

    task_id: str
    job_id: JobNumber
    status: Literal["submitted"]
    estimated_time: int | None
    prompt_cid: Annotated[str, Field(alias="promptCID")]


class Timing(Wire):
    """Times as ISO 8601; `total_time` in seconds."""

    submitted: str
    started: str | None
    completed: str | None
    total_time: float | None


class TaskReply(Wire):
    """`error` is ours, and there when the task failed."""

    task_id: str
    job_id: JobNumber
    status: StatusWord
    prompt: str
    response: str | None
    timing: Timing
    worker: str | None
    response_cid: Annotated[str | None, Field(alias="responseCID")]
    error: str | None = Field(None, exclude_if=lambda value: value is None)


class TaskItem(Wire):
    task_id: str
    job_id: JobNumber
    status: StatusWord
    model_id: str
    timing: Timing
    worker: str | None


class TasksReply(Wire):
    """Ours. `total` counts all that the filter matches."""

    tasks: list[TaskItem]
    total: int


def _listed(value: object) -> object:
    return tuple(value.split(",")) if isinstance(value, str) else value


def _with_zone(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _as_text(value: Any) -> Any:
    """Only a date and time as ISO writes it: a number would be taken as seconds since 1970."""
    if isinstance(value, str) and _ISO_DATE.match(value) is None:
        raise ValueError("must be an ISO date and time")
    return value


class TasksQuery(QueryWire):
    """`status` is a list with commas; a time without a zone is UTC."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 10
    status: Annotated[tuple[StatusWord, ...], BeforeValidator(_listed)] = ()
    since: Annotated[datetime, BeforeValidator(_as_text), AfterValidator(_with_zone)] | None = None


# -------------------------------------------------------------------- models


class ModelItem(Wire):
    """`timestamp` is the time of the registration's block."""

    id: str
    name: str
    description: str
    cid: str
    active: bool
    timestamp: str


class ModelsReply(Wire):
    models: list[ModelItem]


class UploadForm(Wire):
    """A multipart form; `file` is repeated, one part for each of the model's files."""

    model_id: ModelIdText
    name: NameText
    description: DescriptionText = ""
    file: Annotated[list[str], Field(json_schema_extra={"items": BINARY}, min_length=1)]


class UnsignedCall(Wire):
    """What the registry's owner has to sign and send."""

    to: str
    data: str
    chain_id: int


class UploadReply(Wire):
    """Ours. Either a transaction was mined, or `transaction` waits for the owner's signature."""

    model_id: str
    cid: str
    status: Literal["registered", "awaiting_signature"]
    transaction_hash: str | None
    transaction: UnsignedCall | None
