"""Files on their way in: streamed to disk, bounded, and gone when their upload ends.

An upload's folder holds what its form has sent so far. Whoever wants to keep the files stores them
elsewhere before the upload ends.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path

from decentralized_vllm.content.model_files import MAX_FILES, check_model_file_name
from decentralized_vllm.protocol.errors import UnsafeModel
from dvllm_gateway.errors import InvalidRequest, NoCapacity, PayloadTooLarge

SPARE_DISK_BYTES = 2 << 30
WRITE_BYTES = 4 << 20
CHECK_DISK_EVERY_BYTES = 64 << 20

_FULL_RETRY_AFTER_S = 600


class ModelFolder:
    """One upload's files. `path` belongs to it."""

    def __init__(self, path: Path, *, max_bytes: int, spare_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._spare_bytes = spare_bytes
        self._n_bytes = 0
        self._n_files = 0
        self._check_at_bytes = 0

    async def save(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        """Raises InvalidRequest (no file of a model), PayloadTooLarge and NoCapacity (the disk)."""
        self._admit(name)
        with (self.path / name).open("xb", buffering=0) as file:
            waiting = bytearray()
            async for piece in pieces:
                waiting += piece
                if len(waiting) >= WRITE_BYTES:
                    await self._write(file, waiting)
                    waiting = bytearray()
            await self._write(file, waiting)

    def _admit(self, name: str) -> None:
        try:
            check_model_file_name(name)
        except UnsafeModel as error:
            raise InvalidRequest(str(error), field="file") from error
        if (self.path / name).exists():
            raise InvalidRequest(f"{name} is sent twice", field="file")
        self._n_files += 1
        if self._n_files > MAX_FILES:
            raise InvalidRequest(f"more than {MAX_FILES} files", field="file")

    async def _write(self, file: FileIO, data: bytearray) -> None:
        self._n_bytes += len(data)
        if self._n_bytes > self._max_bytes:
            raise PayloadTooLarge(f"the files are larger than {self._max_bytes} bytes")
        if self._n_bytes >= self._check_at_bytes:
            check_free_disk(self.path, wanted_bytes=len(data), spare_bytes=self._spare_bytes)
            self._check_at_bytes = self._n_bytes + CHECK_DISK_EVERY_BYTES
        await asyncio.to_thread(_write_all, file, data)


class Uploads:
    """`root` is for uploads alone: what a killed process left there goes when the next starts."""

    def __init__(self, root: Path, *, max_bytes: int, spare_bytes: int = SPARE_DISK_BYTES) -> None:
        self.max_bytes = max_bytes
        self._root = root
        self._spare_bytes = spare_bytes

    def clean(self) -> None:
        """At the start, before any upload."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def receive(self, announced_bytes: int | None) -> AsyncIterator[ModelFolder]:
        """Raises PayloadTooLarge and NoCapacity when it is known already that it can not fit."""
        wanted_bytes = announced_bytes or 0
        if wanted_bytes > self.max_bytes:
            raise PayloadTooLarge(f"the upload is larger than {self.max_bytes} bytes")
        self._root.mkdir(parents=True, exist_ok=True)
        check_free_disk(self._root, wanted_bytes=wanted_bytes, spare_bytes=self._spare_bytes)
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._root))
        try:
            yield ModelFolder(path, max_bytes=self.max_bytes, spare_bytes=self._spare_bytes)
        finally:
            shutil.rmtree(path, ignore_errors=True)


def check_free_disk(path: Path, *, wanted_bytes: int, spare_bytes: int) -> None:
    """Raises NoCapacity unless `spare_bytes` are left after that."""
    if shutil.disk_usage(path).free - wanted_bytes < spare_bytes:
        raise NoCapacity(
            "the gateway's disk has no room for this", retry_after_s=_FULL_RETRY_AFTER_S
        )


def _write_all(file: FileIO, data: bytearray) -> None:
    """Raises NoCapacity: another may have filled the disk since it was looked at."""
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise NoCapacity("the gateway's disk is full", retry_after_s=_FULL_RETRY_AFTER_S) from error
