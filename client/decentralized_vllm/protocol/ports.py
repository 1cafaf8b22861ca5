"""What the core needs from outside. Ports say what they are for, adapters what they are."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    GenerationChunk,
    GenerationRequest,
)
from decentralized_vllm.protocol.ids import Cid

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

    def generate(self, request: GenerationRequest) -> AsyncIterator[GenerationChunk]:
        """Streams one answer; closing the iterator cancels it.

        Raises EngineUnavailable (crash, hang) and EngineRefused.
        """

    async def is_healthy(self) -> bool: ...


class Clock(Protocol):
    """Chain time where a clock of the rules is meant; both in seconds."""

    def now_s(self) -> float: ...

    async def sleep_s(self, duration_s: float) -> None: ...
