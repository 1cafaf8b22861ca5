"""A small SQLite file beside blocks: durable, usable from any thread, its errors the library's."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decentralized_vllm.protocol.errors import SettingError, StorageBusy, StorageFull
from decentralized_vllm.write_ahead_log import use_write_ahead_log

_BUSY_TIMEOUT_S = 5.0


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
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                raise StorageFull(f"no space left for {self._file}") from error
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StorageBusy(f"{self._file} is held by another process") from error
            raise SettingError(
                self._setting, f"{self._file} cannot be used: {error}", hint=self._hint
            ) from error
