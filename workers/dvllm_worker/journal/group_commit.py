"""Many small writes, few commits: what waits while one commit runs goes into the next."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

Work = Callable[[Connection], None]
T = TypeVar("T")


class Transactions(Protocol):
    """What the journal needs of the library's Database."""

    async def transaction(self, work: Callable[[Connection], T]) -> T: ...


class GroupCommit:
    """`write` returns when its work is durable; works run in the order they were given.

    A group that fails fails for all who wait on it: nothing of it was written.
    """

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._waiting: list[tuple[Work, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, work: Work) -> None:
        """Raises StorageBusy, StorageFull, SettingError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # A cancelled caller still learns nothing false: its work is written all the same.
        await asyncio.shield(done)

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await self._write_group(group)
        self._writer = None

    async def _write_group(self, group: list[tuple[Work, asyncio.Future[None]]]) -> None:
        def all_works(connection: Connection) -> None:
            for work, _ in group:
                work(connection)

        try:
            await self._database.transaction(all_works)
        except BaseException as error:
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
                    done.exception()  # one who no longer waits is no unhandled error
            if not isinstance(error, Exception):
                raise
            return
        for _, done in group:
            if not done.done():
                done.set_result(None)
