"""Many small writes, few commits: what comes while one commit runs goes into the next."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

LINGER_S = 0.25  # what nobody waits for is written this late, if nothing else is written before


class Transactions(Protocol):
    """What the journal needs of the library's Database."""

    async def transaction(self, work: Callable[[Connection], T]) -> T: ...


class GroupCommit(Generic[K, V]):
    """Values by key, of which the file is to get the last one each.

    `apply` writes the values of a group inside its transaction. A group that fails fails for all
    who wait for it, and its values are owed still: the next group has them, too.
    """

    def __init__(
        self, database: Transactions, apply: Callable[[Connection, Mapping[K, V]], None]
    ) -> None:
        self._database = database
        self._apply = apply
        self._owed: dict[K, V] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._lingering: asyncio.TimerHandle | None = None

    def owe(self, values: Mapping[K, V]) -> None:
        """They will be written, if nothing fails; `settle` waits for it."""
        self._owed.update(values)
        if self._lingering is None and values:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._start)

    async def settle(self) -> None:
        """Returns when everything owed is durable. Raises StorageBusy, StorageFull, SettingError.

        A caller that is cancelled changes nothing: what is owed is written all the same.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._start()
        await done

    def _start(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._waiting or (self._owed and self._lingering is None):
                waiting, self._waiting = self._waiting, []
                error = await self._write_owed(waiting)
                for done in waiting:
                    _settle(done, error)
                if error is not None and not self._waiting:
                    return  # whoever writes next tries again
        finally:
            self._writer = None

    async def _write_owed(self, waiting: Sequence[asyncio.Future[None]]) -> Exception | None:
        values, self._owed = self._owed, {}
        try:
            if values:
                await self._database.transaction(lambda connection: self._apply(connection, values))
        except Exception as error:
            self._owed = {**values, **self._owed}
            return error
        except asyncio.CancelledError:
            for done in waiting:
                done.cancel()
            raise
        return None


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.done():
        return  # its caller no longer waits
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
