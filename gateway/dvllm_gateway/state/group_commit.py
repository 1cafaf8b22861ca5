"""Commits many small writes at once: a commit waits for the disk, a write does not.

While one group is being committed the next one gathers, so a lone write waits for nobody. Groups
are small, and what somebody waits for goes first: many ends of tasks hold no new one up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from decentralized_vllm.ending import Ending
from dvllm_gateway.state.failures import as_gateway_error

MAX_GROUP = 16
MAX_UNHURRIED = 4  # of a group: whoever is in a hurry comes after them

T = TypeVar("T")
Work = Callable[[Connection], Any]


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
        self._idle = asyncio.Event()
        self._idle.set()

    async def write(self, work: Callable[[Connection], T], *, is_hurried: bool = True) -> T:
        """Returns what `work` returned, once that is durable; what it raises undoes only its own.

        A cancelled caller waits for the commit too: nobody must guess whether it happened.
        """
        ending: Ending[T] = Ending()
        queue = self._waiting if is_hurried else self._unhurried
        queue.append(_Waiting(work, ending))
        if self._idle.is_set():
            self._idle.clear()
            self._begin()
        return await ending.reached()

    async def close(self) -> None:
        await self._idle.wait()
        self._thread.shutdown()

    def _begin(self) -> None:
        group = self._next_group()
        self._thread.submit(self._run, group, asyncio.get_running_loop())

    def _run(self, group: Sequence[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        outcomes = self._commit([waiting.work for waiting in group])
        loop.call_soon_threadsafe(self._end, group, outcomes)

    def _next_group(self) -> list[_Waiting]:
        """Some places are kept for what is not hurried: it must get its turn some time."""
        room = min(MAX_UNHURRIED, len(self._unhurried))
        most = min(MAX_GROUP - room, len(self._waiting))
        group = [self._waiting.popleft() for _ in range(most)]
        return group + [self._unhurried.popleft() for _ in range(room)]

    def _end(self, group: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> None:
        for waiting, outcome in zip(group, outcomes, strict=True):
            if outcome.error is None:
                waiting.ending.succeed(outcome.value)
            else:
                waiting.ending.fail(outcome.error)
        if self._waiting or self._unhurried:
            self._begin()
        else:
            self._idle.set()

    def _commit(self, works: Sequence[Work]) -> list[_Outcome]:
        try:
            with self._engine.begin() as connection:
                return [_Outcome(work(connection)) for work in works]
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
