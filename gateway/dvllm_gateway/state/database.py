"""The gateway's database, whichever it is: transactions made of plain functions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.state.migrate import migrate
from dvllm_gateway.state.postgresql import open_postgresql
from dvllm_gateway.state.sqlite import open_sqlite

T = TypeVar("T")
Item = TypeVar("Item")


class Database(Protocol):
    """`work` gets a connection inside a transaction and must touch nothing else: it may run again.

    Raises NetworkUnavailable while the database does not answer, InternalError when it refuses.
    """

    async def write(self, work: Callable[[Connection], T], *, is_hurried: bool = True) -> T:
        """Returns what `work` returned when that is durable; an exception undoes what it did.

        What no request waits for is not hurried, and lets others go first.
        """

    async def write_shared(
        self, work: Callable[[Connection, Sequence[Item]], Sequence[T]], item: Item
    ) -> T:
        """What `work` returned for this item. It may be given many at once, where that is cheaper
        than each by itself, and answers for each in its place. Not hurried.
        """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """One consistent view, which includes every write that returned before."""


@asynccontextmanager
async def open_database(location: Path | str) -> AsyncIterator[Database]:
    """A path (SQLite) or a URL, with its tables brought up to this release. Raises SettingError."""
    url = database_url(location)
    await asyncio.to_thread(migrate, url)
    async with _opened(url) as database:
        yield database


def _opened(url: URL) -> AbstractAsyncContextManager[Database]:
    if url.get_backend_name() == "sqlite":
        return open_sqlite(url)
    return open_postgresql(url)


def database_url(location: Path | str) -> URL:
    """Names the driver where the URL leaves it open. Raises SettingError."""
    if isinstance(location, Path) or "://" not in location:
        return _of_a_file(URL.create("sqlite+pysqlite", database=str(location)))
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):  # whose text shows parts of it: a password may be in it
        raise SettingError("database", "is neither a path nor a database URL") from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        return _of_a_file(url.set(drivername="sqlite+pysqlite"))
    if kind != "postgresql":
        raise SettingError("database", f"{kind} is not supported", hint="a path, or postgresql://…")
    return url.set(drivername="postgresql+psycopg")


def _of_a_file(url: URL) -> URL:
    """What is in memory alone is lost, and money is in it."""
    if url.database in (None, "", ":memory:"):
        raise SettingError("database", "names no file")
    return url
