"""Blocks as files, laid out as Kubo's flatfs does: a Kubo can read the folder as it is."""

import base64
import binascii
import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from decentralized_vllm.content.cid import CIDS_KEPT

_SHARDING = "/repo/flatfs/shard/v1/next-to-last/2\n"
_SUFFIX = ".data"


class FlatFs:
    """Blocking file work below `root`; `blocks/` holds the blocks, `tmp/` what is being written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blocks = root / "blocks"
        self._temporary = root / "tmp"
        self._serial = itertools.count()
        self._placing = threading.Lock()  # two may write one block at once

    def open(self) -> None:
        """Makes the folders and drops what a killed process left half written."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._blocks.mkdir(exist_ok=True)
        sharding = self._blocks / "SHARDING"
        if not sharding.exists() or not sharding.stat().st_size:  # a full disk leaves it empty
            sharding.write_text(_SHARDING, encoding="ascii")

    def path(self, multihash: bytes) -> Path:
        name = _name_of(multihash)
        return self._blocks / name[-3:-1] / (name + _SUFFIX)

    def read(self, multihash: bytes) -> bytes:
        """Raises FileNotFoundError."""
        return self.path(multihash).read_bytes()

    def has(self, multihash: bytes) -> bool:
        return self.path(multihash).exists()

    def holds(self, multihash: bytes, block: bytes | memoryview) -> bool:
        """Whether it is there with these bytes: a power cut or a bad disk leaves others."""
        try:
            return self.read(multihash) == block
        except OSError:
            return False

    def write(self, multihash: bytes, block: bytes | memoryview) -> int:
        """The bytes that this took more than what was there. Appears whole or not at all; durable
        only after a sync of the path."""
        temporary = self._temporary / f"{next(self._serial)}"
        try:
            temporary.write_bytes(block)
            with self._placing:
                return self._place(temporary, multihash, block)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _place(self, temporary: Path, multihash: bytes, block: bytes | memoryview) -> int:
        path = self.path(multihash)
        n_before = path.stat().st_size if path.exists() else 0
        if n_before and self.holds(multihash, block):
            temporary.unlink()
            return 0
        try:
            os.replace(temporary, path)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            os.replace(temporary, path)
        return len(block) - n_before

    def delete_if(self, multihash: bytes, is_bad: Callable[[bytes], bool]) -> int:
        """The bytes that this freed: a good copy may have taken a bad one's place meanwhile."""
        with self._placing:
            try:
                block = self.read(multihash)
            except FileNotFoundError:
                return 0
            if not is_bad(block):
                return 0
            self.delete(multihash)
            return len(block)

    def delete(self, multihash: bytes) -> None:
        self.path(multihash).unlink(missing_ok=True)

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """(multihash, size) of every block; one that is deleted meanwhile may be left out."""
        with os.scandir(self._blocks) as shards:
            for shard in shards:
                if shard.is_dir():
                    yield from _blocks_in(shard.path)


def _blocks_in(shard: str) -> Iterator[tuple[bytes, int]]:
    with os.scandir(shard) as entries:
        for entry in entries:
            if not entry.name.endswith(_SUFFIX):
                continue
            try:
                yield _multihash(entry.name), entry.stat().st_size
            except (FileNotFoundError, binascii.Error):  # deleted meanwhile, or no block
                continue


@lru_cache(maxsize=CIDS_KEPT)
def _name_of(multihash: bytes) -> str:
    return base64.b32encode(multihash).decode().rstrip("=")


def _multihash(file_name: str) -> bytes:
    name = file_name.removesuffix(_SUFFIX)
    return base64.b32decode(name + "=" * (-len(name) % 8))
