"""SQLite as the gateway's database: one writer that commits in groups, readers beside it.

Plain threads and SQLAlchemy's synchronous engine: through aiosqlite each statement crosses threads
several times, which costs three times the processor of the statements themselves.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from decentralized_vllm.ending import in_thread
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.write_ahead_log import use_write_ahead_log
from dvllm_gateway.state.failures import as_gateway_error
from dvllm_gateway.state.group_commit import GroupCommit

BUSY_TIMEOUT_MS = 5000
N_READERS = 2

T = TypeVar("T")
Item = TypeVar("Item")


class SqliteDatabase:
    """See `database.Database`."""

    def __init__(self, writer: GroupCommit, readers: ThreadPoolExecutor, engine: Engine) -> None:
        self._writer = writer
        self._readers = readers
        self._reading = engine

    async def write(self, work: Callable[[Connection], T], *, is_hurried: bool = True) -> T:
        return await self._writer.write(work, is_hurried=is_hurried)

    async def write_shared(
        self, work: Callable[[Connection, Sequence[Item]], Sequence[T]], item: Item
    ) -> T:
        return await self._writer.write_shared(work, item)

    async def read(self, work: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._reading.begin() as connection:
                return work(connection)

        try:
            return await in_thread(self._readers, run)
        except DBAPIError as error:
            raise as_gateway_error(error) from error


@asynccontextmanager
async def open_sqlite(url: URL) -> AsyncIterator[SqliteDatabase]:
    """Raises SettingError for a file that can not be used."""
    writing, reading = writing_engine(url), _reading_engine(url)
    try:
        with writing.connect():  # a bad path is told at start
            pass
    except DBAPIError as error:
        raise SettingError("database", f"can not be used: {error.orig}") from error
    writer = GroupCommit(writing)
    readers = ThreadPoolExecutor(max_workers=N_READERS, thread_name_prefix="database-reader")
    try:
        yield SqliteDatabase(writer, readers, reading)
    finally:
        await writer.close()
        readers.shutdown()
        reading.dispose()
        writing.dispose()


def writing_engine(url: URL) -> Engine:
    """Each transaction takes the write lock at once: a read that then writes can not fail."""
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_writing)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _reading_engine(url: URL) -> Engine:
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_reading)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _prepare_writing(connection: Any, _: object) -> None:
    use_write_ahead_log(connection, BUSY_TIMEOUT_MS / 1000)
    # A commit survives a power cut.
    _prepare(connection, "synchronous=FULL", "foreign_keys=ON")


def _prepare_reading(connection: Any, _: object) -> None:
    _prepare(connection, "query_only=ON")


def _prepare(connection: Any, *pragmas: str) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", *pragmas):
        connection.execute(f"PRAGMA {pragma}").close()
