"""Where the blocks of fetched trees lie: leaves as places in files, inner nodes as their bytes."""

import threading
from dataclasses import dataclass
from pathlib import Path

from decentralized_vllm.content.cid import RAW, ParsedCid
from decentralized_vllm.content.sqlite_file import SqliteFile
from decentralized_vllm.protocol.ids import Cid

_TABLE = """
CREATE TABLE IF NOT EXISTS blocks (
    digest BLOB NOT NULL,
    tree TEXT NOT NULL,
    node BLOB,
    file TEXT,
    start INTEGER,
    length INTEGER,
    is_wrapped INTEGER,
    PRIMARY KEY (digest, tree)
) STRICT
"""
# Rows are written in batches of about this size.
_BATCH_BYTES = 256 * 1024
_LEAF_ROW_BYTES = 256

_Row = tuple[bytes, Cid, bytes | None, str | None, int | None, int | None, bool | None]


@dataclass(frozen=True, slots=True)
class LeafPlace:
    """`file` is relative to the tree, with slashes. `is_wrapped`: the block is a dag-pb leaf."""

    tree: Cid
    file: str
    start: int
    length: int
    is_wrapped: bool


class BlockIndex:
    """One SQLite file for all trees of a folder. Its methods block; call them in threads."""

    def __init__(self, file: Path) -> None:
        """Raises SettingError (not a database), StorageFull."""
        self._db = SqliteFile(
            file,
            _TABLE,
            setting="data_dir",
            hint="delete the file; models that are here already are then not offered to peers",
        )

    def close(self) -> None:
        self._db.close()

    def find(self, cid: ParsedCid) -> list[LeafPlace | bytes]:
        """Everywhere the block should be, bytes for an inner node; nothing of it is verified."""
        rows = self._db.run(
            "SELECT node, tree, file, start, length, is_wrapped FROM blocks WHERE digest = ?",
            cid.digest,
        )
        return [
            LeafPlace(Cid(tree), file, start, length, bool(is_wrapped)) if node is None else node
            for node, tree, file, start, length, is_wrapped in rows
        ]

    def add(self, rows: list[_Row]) -> None:
        """A block that a tree has in several places is known by the first."""
        self._db.run_many("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def forget(self, tree: Cid) -> None:
        self._db.run("DELETE FROM blocks WHERE tree = ?", tree)


class TreeRecord:
    """Takes down one tree's blocks while it is fetched. Its methods block; call them in threads."""

    def __init__(self, index: BlockIndex, tree: Cid) -> None:
        self._index = index
        self._tree = tree
        self._rows: list[_Row] = []
        self._waiting_bytes = 0
        self._lock = threading.Lock()

    def leaf(self, cid: ParsedCid, file: str, start: int, length: int) -> None:
        is_wrapped = cid.codec != RAW
        row = (cid.digest, self._tree, None, file, start, length, is_wrapped)
        self._add(row, _LEAF_ROW_BYTES)

    def node(self, cid: ParsedCid, block: bytes) -> None:
        self._add((cid.digest, self._tree, block, None, None, None, None), len(block))

    def finish(self) -> None:
        """What was told is durable."""
        with self._lock:
            self._write()

    def _add(self, row: _Row, size: int) -> None:
        with self._lock:
            self._rows.append(row)
            self._waiting_bytes += size
            if self._waiting_bytes >= _BATCH_BYTES:
                self._write()

    def _write(self) -> None:
        self._index.add(self._rows)
        self._rows, self._waiting_bytes = [], 0
