"""The body of an `add` call: a file or a tree as multipart, streamed one part at a time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from decentralized_vllm.content.names import check_name

_READ_BYTES = 1024 * 1024
_FILE_TYPE = "application/octet-stream"
_DIRECTORY_TYPE = "application/x-directory"
_SMALL_BYTES = 512 * 1024

Body: TypeAlias = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Multipart:
    """Give `headers` to the request that sends a body made by one of the methods.

    One boundary does for many bodies, which saves both sides a look at the header; nobody who
    writes what is sent may know it.
    """

    boundary: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": f"multipart/form-data; boundary={self.boundary}"}

    def of_bytes(self, data: bytes, name: str = "data") -> Body:
        """In one piece, and what is small with the headers: each costs both sides a system call."""
        body = b"".join((self._head(name, _FILE_TYPE), data, self._end))
        return body if len(body) <= _SMALL_BYTES else _once(body)

    async def of_path(self, path: Path) -> AsyncIterator[bytes]:
        """A directory comes before what is in it. Raises OSError, ContentMalformed (a name)."""
        for entry, name in _entries(path):
            if entry.is_dir():
                yield self._head(name, _DIRECTORY_TYPE)
                continue
            yield self._head(name, _FILE_TYPE)
            with entry.open("rb") as file:
                while data := await asyncio.to_thread(file.read, _READ_BYTES):
                    yield data
        yield self._end

    def _head(self, name: str, kind: str) -> bytes:
        # Every head closes the part before it; in front of the first one that is harmless.
        return (
            f"\r\n--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{quote(name, safe="")}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        ).encode("ascii")

    @property
    def _end(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode("ascii")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _entries(root: Path) -> Iterator[tuple[Path, str]]:
    check_name(root.name)
    yield root, root.name
    if root.is_dir():
        for path in sorted(root.rglob("*")):
            yield path, path.relative_to(root.parent).as_posix()
