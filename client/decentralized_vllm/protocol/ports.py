"""What the core needs from outside. Ports say what they are for, adapters what they are."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decentralized_vllm.protocol.events import Cursor, EventBatch, InferenceRequested
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    GenerationChunk,
    GenerationRequest,
    Usage,
)
from decentralized_vllm.protocol.ids import Cid, JobId, TxHash, VersionNumber
from decentralized_vllm.protocol.jobs import FailureCode, JobState, Terms
from decentralized_vllm.protocol.transactions import Call, Receipt

# Called with (bytes done, bytes in all or None) as a transfer goes on.
Progress = Callable[[int, int | None], None]


class CidProfile(Protocol):
    """How bytes become a DAG; see content/profiles.py for the three that exist."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ContentLimits:
    """Checked while reading, before anything is decoded or written."""

    max_bytes: int
    max_blocks: int = 100_000
    max_depth: int = 16
    max_files: int = 10_000


class BlockStore(Protocol):
    """Moves blocks. Whoever reads through `ContentStore` gets them hashed against their CID."""

    async def get_block(self, cid: Cid) -> bytes:
        """Raises ContentUnavailable (no source has it in time), ContentMismatch (the bytes lie)."""

    async def put_block(self, cid: Cid, block: bytes) -> None: ...

    async def has_block(self, cid: Cid) -> bool: ...


class ContentStore(BlockStore, Protocol):
    """Files and directories over blocks. Raises ContentUnavailable and the ContentError family."""

    async def add_bytes(self, data: bytes) -> Cid:
        """Stores and pins one file."""

    async def add_path(self, path: Path, *, progress: Progress | None = None) -> Cid:
        """Stores and pins a file or a directory tree."""

    async def read_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """One whole verified file. Raises ContentTooLarge, ContentMalformed (a directory)."""

    async def fetch_tree(
        self,
        cid: Cid,
        target: Path,
        *,
        limits: ContentLimits,
        progress: Progress | None = None,
    ) -> None:
        """Writes the verified tree below `target`; resumes what a broken call left there."""

    async def pin(self, cid: Cid) -> None: ...

    async def unpin(self, cid: Cid) -> None: ...


class Engine(Protocol):
    """One model, loaded and able to answer several requests at once."""

    async def start(self) -> None:
        """Returns when the model answers. Raises EngineUnavailable, SettingError, UnsafeModel."""

    async def stop(self) -> None:
        """Ends what start began, also after a failed start; an engine already gone is no error."""

    def identity(self) -> EngineIdentity: ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        """Streams one answer; closing the generator cancels it.

        Raises EngineUnavailable (crash, hang) and EngineRefused.
        """

    async def is_healthy(self) -> bool: ...


class Clock(Protocol):
    """Chain time where a clock of the rules is meant; both in seconds."""

    def now_s(self) -> float: ...

    async def sleep_s(self, duration_s: float) -> None: ...


class ChainFeed(Protocol):
    """The coordinator's events in order, again from the stored cursor after a restart."""

    def batches(self) -> AsyncIterator[EventBatch]:
        """Never ends by itself; outages are waited out. Call `advance` when a batch is applied."""

    async def advance(self, cursor: Cursor) -> None:
        """Makes the cursor durable; only after the batch's effects are."""


class JobChain(Protocol):
    """The coordinator, as a node reads it, at the latest block. Raises ChainUnavailable."""

    async def job(self, job_id: JobId) -> JobState: ...

    async def request(self, job_id: JobId) -> InferenceRequested:
        """The canonical request event of a job. Raises UnknownJob."""

    async def terms(self, version: VersionNumber) -> Terms: ...

    async def chain_time_s(self) -> int:
        """Timestamp of the latest block."""


class JobCalls(Protocol):
    """Encodes what a node says to the coordinator."""

    def submit_response(
        self, job_id: JobId, response_cid: Cid, request_digest: bytes, usage: Usage | None
    ) -> Call:
        """`usage` None bills the flat part."""

    def take_job(self, job_id: JobId) -> Call: ...

    def fail_job(self, job_id: JobId, code: FailureCode, request_digest: bytes) -> Call: ...

    def expire_job(self, job_id: JobId) -> Call: ...


class TransactionSender(Protocol):
    """The one owner of a key. What it accepts gets mined, across restarts and price rises."""

    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        """Simulates, makes the signed bytes durable, broadcasts. The same `key` never sends twice.

        `key` is the caller's idempotency key, `deadline_s` (chain time) the moment after which
        mining it is of no use. Raises ContractRevert (by simulation), InsufficientGas and
        ChainUnavailable.
        """

    async def wait(self, key: str) -> Receipt:
        """Until mined and confirmed. Raises ContractRevert, TransactionFailed."""
