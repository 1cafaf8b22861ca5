"""Many small writes, few commits: what waits while one commit runs goes into the next."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

C = TypeVar("C")
T = TypeVar("T")


class Transactions(Protocol):
    """What the journal needs of the library's Database."""

    async def transaction(self, work: Callable[[Connection], T]) -> T: ...


class GroupCommit(Generic[C]):
    """`write` returns when its changes are durable; changes are applied in the order they came.

    `apply` writes the changes of a group inside its transaction, `show` is told of them when they
    are durable. A group that fails fails for all who wait on it: nothing of it was written.
    """

    def __init__(
        self,
        database: Transactions,
        *,
        apply: Callable[[Connection, Sequence[C]], None],
        show: Callable[[Sequence[C]], None],
    ) -> None:
        self._database = database
        self._apply = apply
        self._show = show
        self._waiting: list[tuple[Sequence[C], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, changes: Sequence[C]) -> None:
        """Raises StorageBusy, StorageFull, SettingError."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((changes, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        # A cancelled caller's changes are written and shown all the same.
        await asyncio.shield(done)

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await self._write_group(group)
        self._writer = None

    async def _write_group(self, group: list[tuple[Sequence[C], asyncio.Future[None]]]) -> None:
        changes = [change for some, _ in group for change in some]
        try:
            await self._database.transaction(lambda connection: self._apply(connection, changes))
        except BaseException as error:
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
                    done.exception()  # one who no longer waits is no unhandled error
            if not isinstance(error, Exception):
                raise
            return
        self._show(changes)
        for _, done in group:
            if not done.done():
                done.set_result(None)
