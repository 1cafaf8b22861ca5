"""The list of pinned roots, in SQLite."""

from collections.abc import Sequence
from pathlib import Path

from decentralized_vllm.content.sqlite_file import SqliteFile
from decentralized_vllm.protocol.ids import Cid


class PinTable:
    """Every change is durable when the call returns. Usable from any thread."""

    def __init__(self, file: Path, *, setting: str) -> None:
        """Raises SettingError (not a database), StorageFull."""
        self._db = SqliteFile(
            file,
            "CREATE TABLE IF NOT EXISTS pins (cid TEXT PRIMARY KEY) STRICT",
            setting=setting,
            hint="the blocks are unharmed; move the file away and pin again",
        )

    def add(self, cids: Sequence[Cid]) -> None:
        """All or none."""
        self._db.run_many("INSERT OR IGNORE INTO pins VALUES (?)", [(cid,) for cid in cids])

    def remove(self, cid: Cid) -> None:
        self._db.run("DELETE FROM pins WHERE cid = ?", cid)

    def all(self) -> list[Cid]:
        return [Cid(row[0]) for row in self._db.run("SELECT cid FROM pins ORDER BY cid")]

    def close(self) -> None:
        self._db.close()
