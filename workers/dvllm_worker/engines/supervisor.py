"""Keeps one session of an engine alive: opens it, waits for its end, opens the next."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from decentralized_vllm.protocol.errors import DvllmError, EngineUnavailable

log = logging.getLogger(__name__)


class Session(Protocol):
    """One life of an engine, ready to answer from the moment it exists."""

    async def ended(self) -> str:
        """Returns, with the reason, when this session can answer no more."""

    async def close(self) -> None:
        """May be called again, should the first call have been cancelled."""


S = TypeVar("S", bound=Session)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between starts; a session that lived for `good_after_s` starts the count anew."""

    first_s: float = 0.5
    factor: float = 2.0
    longest_s: float = 60.0
    good_after_s: float = 60.0

    def wait_s(self, n_failures: int) -> float:
        """Before the next start after `n_failures` lives in a row that were short or none."""
        exponent = min(max(n_failures - 1, 0), 32)
        return min(self.longest_s, self.first_s * self.factor**exponent)


class Supervisor(Generic[S]):
    """The first session must open; later ones are tried for ever, each after a longer wait."""

    def __init__(
        self, name: str, open_session: Callable[[], Awaitable[S]], backoff: Backoff
    ) -> None:
        self._name = name
        self._open_session = open_session
        self._backoff = backoff
        self._session: S | None = None
        self._why_down: str | None = "it is not started"
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises what opening the first session raises."""
        if self._task is not None:
            return
        self._take(await self._open_session())
        self._task = asyncio.create_task(self._keep_alive(), name=f"supervisor of {self._name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._close_session("it was stopped")

    @property
    def is_up(self) -> bool:
        return self._why_down is None

    def session(self) -> S:
        """Raises EngineUnavailable while there is none."""
        if self._session is None or self._why_down is not None:
            raise EngineUnavailable(f"the engine {self._name} is down: {self._why_down}")
        return self._session

    def _take(self, session: S) -> None:
        self._session, self._why_down = session, None

    async def _keep_alive(self) -> None:
        clock = asyncio.get_running_loop().time
        n_failures = 0
        while True:
            opened_s = clock()
            if self._session is not None:
                await self._see_out(self._session)
            lived_s = clock() - opened_s
            n_failures = 1 if lived_s >= self._backoff.good_after_s else n_failures + 1
            await asyncio.sleep(self._backoff.wait_s(n_failures))
            await self._reopen(n_failures)

    async def _see_out(self, session: S) -> None:
        reason = await session.ended()
        log.warning("engine_down", extra={"engine": self._name, "reason": reason})
        await self._close_session(reason)

    async def _reopen(self, n_failures: int) -> None:
        try:
            self._take(await self._open_session())
        except DvllmError as error:
            self._why_down = str(error)
            told = {"engine": self._name, "n": n_failures, "reason": str(error)}
            log.error("engine_start_failed", extra=told)
        except Exception as error:
            self._why_down = str(error)
            log.exception("engine_start_failed", extra={"engine": self._name, "n": n_failures})
        else:
            log.info("engine_up", extra={"engine": self._name})

    async def _close_session(self, why_down: str) -> None:
        """Given out no more from here on, but kept until closed: `stop` may have to do it again."""
        self._why_down = why_down
        if self._session is not None:
            await self._session.close()
            self._session = None
