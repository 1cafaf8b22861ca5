"""A small SQLite file beside blocks: durable, usable from any thread, its errors the library's."""

import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decentralized_vllm.content.disk import disk_errors
from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull
from decentralized_vllm.write_ahead_log import use_write_ahead_log

_BUSY_TIMEOUT_S = 5.0
_PROBE_BYTES = 64 * 1024  # the write-ahead log's index needs half of it
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SqliteFile:
    """Every change is durable when its call returns.

    `table` is the statement that makes the one table. `setting` and `hint` are what the error
    says of a file that is damaged or no database.
    """

    def __init__(self, file: Path, table: str, *, setting: str, hint: str) -> None:
        """Raises SettingError (not a database), StorageFull."""
        self._file = file
        self._setting = setting
        self._hint = hint
        self._lock = threading.Lock()
        with self._errors():
            self._db = sqlite3.connect(
                file, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._prepare(table)

    def _prepare(self, table: str) -> None:
        try:
            use_write_ahead_log(self._db, _BUSY_TIMEOUT_S)
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(table)
        except sqlite3.Error:
            self._db.close()
            raise

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Raises StorageBusy, StorageFull, SettingError."""
        with self._lock, self._errors():
            return self._db.execute(statement, values).fetchall()

    def run_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """All rows in one transaction. Raises what `run` does."""
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(statement, rows)
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> StorageFull | StorageBusy | SettingError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._is_disk_full()):
            return StorageFull(f"no space left for {self._file}", hint="free some space")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StorageBusy(f"{self._file} is held by another process")
        hint = self._hint if code in _DAMAGED else None
        return SettingError(self._setting, f"{self._file} cannot be used: {error}", hint=hint)

    def _is_disk_full(self) -> bool:
        """SQLite calls many a full disk an error of its reading and writing."""
        try:
            with (
                disk_errors(self._setting, self._file.parent),
                tempfile.TemporaryFile(dir=self._file.parent) as probe,
            ):
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
                return False
        except StorageFull:
            return True
        except (OSError, SettingError, StorageBusy):
            return False
