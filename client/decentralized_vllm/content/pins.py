"""The list of pinned roots, in SQLite."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull
from decentralized_vllm.protocol.ids import Cid

_BUSY_TIMEOUT_S = 5.0


class PinTable:
    """Every change is durable when the call returns. One connection, usable from any thread."""

    def __init__(self, file: Path) -> None:
        """Raises SettingError (not a database), StorageFull."""
        self._file = file
        self._lock = threading.Lock()
        with self._errors():
            self._db = sqlite3.connect(
                file, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._prepare()

    def _prepare(self) -> None:
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("CREATE TABLE IF NOT EXISTS pins (cid TEXT PRIMARY KEY) STRICT")
        except sqlite3.Error:
            self._db.close()
            raise

    def add(self, cid: Cid) -> None:
        self._run("INSERT OR IGNORE INTO pins VALUES (?)", cid)

    def remove(self, cid: Cid) -> None:
        self._run("DELETE FROM pins WHERE cid = ?", cid)

    def all(self) -> list[Cid]:
        return [Cid(row[0]) for row in self._run("SELECT cid FROM pins ORDER BY cid")]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _run(self, statement: str, *values: str) -> list[tuple[str]]:
        with self._lock, self._errors():
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                raise StorageFull(f"no space left for {self._file}") from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StorageBusy(f"{self._file} is held by another process") from error
            raise SettingError(
                "store",
                f"{self._file} cannot be used: {error}",
                hint="the blocks are unharmed; move the file away and pin again",
            ) from error
