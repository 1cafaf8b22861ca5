"""One database for all durable state of a process, used by one thread, one transaction at a time.

Cursor, outbox and (in a worker) the journal live in the same file, so that one transaction can
record an event's effects and move the cursor past it.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from decentralized_vllm.chain.store.schema import apply_schema
from decentralized_vllm.ending import in_thread
from decentralized_vllm.protocol.errors import (
    DvllmError,
    SettingError,
    StorageBusy,
    StorageFull,
)
from decentralized_vllm.write_ahead_log import use_write_ahead_log

BUSY_TIMEOUT_MS = 5000

T = TypeVar("T")


# Work that somebody does as a part of another's transaction: both are durable, or neither is.
Along: TypeAlias = Callable[[Connection], None]


class Transactions(Protocol):
    """What runs `work` in one transaction, as `Database` does, and raises what that raises."""

    async def transaction(self, work: Callable[[Connection], T]) -> T: ...


class Database:
    """SQLite (a path) or whatever else SQLAlchemy speaks (a URL). An async context manager.

    `transaction(work)` runs `work(connection)` in the database's own thread, commits what it did
    and returns what it returned; an exception rolls back. Transactions never overlap, so `work`
    may read and then write. Raises StorageBusy, StorageFull and SettingError("database").
    """

    def __init__(self, path_or_url: Path | str) -> None:
        self._location = path_or_url
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")

    async def __aenter__(self) -> Self:
        try:
            self._engine = await self._in_thread(lambda: _open(self._location))
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._engine is not None:
            await self._in_thread(self._engine.dispose)
        self._thread.shutdown()

    async def add_tables(self, component: str, version: int, tables: MetaData) -> None:
        """Creates a component's tables. A newer release's tables are refused with SettingError."""
        await self.transaction(lambda tx: apply_schema(tx, component, version, tables))

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        engine = self._engine

        def run() -> T:
            with engine.begin() as connection:
                return work(connection)

        return await self._in_thread(run)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """A cancelled caller still waits for the commit: nobody must guess whether it happened."""
        try:
            return await in_thread(self._thread, work)
        except DBAPIError as error:
            raise storage_error(error) from error


def _open(location: Path | str) -> Engine:
    if isinstance(location, Path):
        location.parent.mkdir(parents=True, exist_ok=True)
        location = f"sqlite:///{location}"
    try:
        engine = create_engine(make_url(location))
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingError("database", "is neither a path nor a database URL") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    with engine.connect():  # a bad path or password is told at start
        return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    use_write_ahead_log(connection, BUSY_TIMEOUT_MS / 1000)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous=FULL")  # a commit survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Takes the write lock at once: a read that later writes can not fail half-way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def storage_error(error: DBAPIError) -> DvllmError:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return StorageBusy("the database is locked by another process")
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("no space left for the database")
    return SettingError("database", f"can not be used: {error.orig}")
