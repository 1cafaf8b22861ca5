"""Commits many small writes at once: a commit waits for the disk, a write does not.

While one group is being committed the next one gathers, so a lone write waits for nobody. Groups
are small, and what somebody waits for goes first: many ends of tasks hold no new one up. What is
shared comes last in its group, where it takes few statements for many.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from decentralized_vllm.ending import Ending
from dvllm_gateway.state.failures import as_gateway_error

MAX_GROUP = 16
MAX_UNHURRIED = 4  # of a group: whoever is in a hurry comes after them
MAX_SHARED = 32  # items of a shared work, each of which takes far less time

T = TypeVar("T")
Item = TypeVar("Item")
Work = Callable[[Connection], Any]
SharedWork = Callable[[Connection, Sequence[Item]], Sequence[T]]


@dataclass(frozen=True, slots=True)
class _Share:
    """One item of a work that is done for many at once."""

    run: SharedWork[Any, Any]
    item: Any

    def __call__(self, connection: Connection) -> Any:
        return self.run(connection, [self.item])[0]


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Work
    ending: Ending[Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: Exception | None = None


class GroupCommit:
    """The only writer of an engine, in one thread of its own. `close` when nobody writes.

    Driven by callbacks and not by a task, which a failing process would cancel with all others:
    whoever waits for a commit must be told how it went.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database-writer")
        self._waiting: deque[_Waiting] = deque()
        self._unhurried: deque[_Waiting] = deque()
        self._shared: deque[_Waiting] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    async def write(self, work: Callable[[Connection], T], *, is_hurried: bool = True) -> T:
        """Returns what `work` returned, once that is durable; what it raises undoes only its own.

        A cancelled caller waits for the commit too: nobody must guess whether it happened.
        """
        outcome: T = await self._done(work, self._waiting if is_hurried else self._unhurried)
        return outcome

    async def write_shared(self, work: SharedWork[Item, T], item: Item) -> T:
        """What `work` returned for `item`, as one of those that it is given together."""
        outcome: T = await self._done(_Share(work, item), self._shared)
        return outcome

    async def close(self) -> None:
        await self._idle.wait()
        self._thread.shutdown()

    async def _done(self, work: Work, queue: deque[_Waiting]) -> Any:
        ending: Ending[Any] = Ending()
        queue.append(_Waiting(work, ending))
        if self._idle.is_set():
            self._idle.clear()
            self._begin()
        return await ending.reached()

    def _begin(self) -> None:
        group = self._next_group()
        self._thread.submit(self._run, group, asyncio.get_running_loop())

    def _run(self, group: Sequence[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        outcomes = self._commit([waiting.work for waiting in group])
        loop.call_soon_threadsafe(self._end, group, outcomes)

    def _next_group(self) -> list[_Waiting]:
        """Some places are kept for what is not hurried: it must get its turn some time."""
        n_unhurried = min(MAX_UNHURRIED, len(self._unhurried))
        n_hurried = min(MAX_GROUP - n_unhurried, len(self._waiting))
        n_shared = min(MAX_SHARED, len(self._shared))
        taken = (
            (self._waiting, n_hurried),
            (self._unhurried, n_unhurried),
            (self._shared, n_shared),
        )
        return [queue.popleft() for queue, n in taken for _ in range(n)]

    def _end(self, group: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> None:
        for waiting, outcome in zip(group, outcomes, strict=True):
            if outcome.error is None:
                waiting.ending.succeed(outcome.value)
            else:
                waiting.ending.fail(outcome.error)
        if self._waiting or self._unhurried or self._shared:
            self._begin()
        else:
            self._idle.set()

    def _commit(self, works: Sequence[Work]) -> list[_Outcome]:
        try:
            with self._engine.begin() as connection:
                return [_Outcome(value) for value in _values(connection, works)]
        except DBAPIError as error:
            outcome = _Outcome(error=as_gateway_error(error))
        except Exception as error:
            outcome = _Outcome(error=error)
        return [outcome] if len(works) == 1 else self._commit_each(works)

    def _commit_each(self, works: Sequence[Work]) -> list[_Outcome]:
        """Again, after one of them failed and all were undone. They rarely do."""
        try:
            with self._engine.begin() as connection:
                return [_attempt(connection, work) for work in works]
        except DBAPIError as error:  # the whole group is undone
            return [_Outcome(error=as_gateway_error(error))] * len(works)


def _values(connection: Connection, works: Sequence[Work]) -> Iterator[Any]:
    """What they return, in order. Shares of one work that follow each other are done as one."""
    for shared, members in itertools.groupby(works, key=_shared_in):
        if shared is None:
            yield from (work(connection) for work in members)
        else:
            items = [share.item for share in members if isinstance(share, _Share)]
            yield from shared(connection, items)


def _shared_in(work: Work) -> SharedWork[Any, Any] | None:
    return work.run if isinstance(work, _Share) else None


def _attempt(connection: Connection, work: Work) -> _Outcome:
    """Under a savepoint of its own. Whatever it raises belongs to its caller, not to the group."""
    savepoint = connection.begin_nested()
    try:
        value = work(connection)
    except DBAPIError as error:
        savepoint.rollback()
        return _Outcome(error=as_gateway_error(error))
    except Exception as error:
        savepoint.rollback()
        return _Outcome(error=error)
    savepoint.commit()
    return _Outcome(value)
