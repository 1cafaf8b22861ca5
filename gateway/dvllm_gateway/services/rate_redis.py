"""Rates counted in Redis, for several gateways together. Needs the extra `redis`."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from limits.aio.storage.redis import RedisStorage
from limits.errors import StorageError
from redis.asyncio import BlockingConnectionPool

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.services.rate_windows import Counted, Taken, Window, Windows

log = logging.getLogger("dvllm_gateway.limits")

TIMEOUT_S = 2.0
RETRY_S = 5.0
MAX_CONNECTIONS = 64

Answer = TypeVar("Answer")


@asynccontextmanager
async def redis_windows(url: str) -> AsyncIterator[Windows]:
    """`url` is redis://, rediss:// or unix://. Raises SettingError; connects at first use."""
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
    except ValueError as error:
        raise SettingError("limits.redis_url", "is not like redis://127.0.0.1:6379/0") from error
    options: dict[str, Any] = {"connection_pool": pool}  # typed narrower than it is documented
    storage = RedisStorage(
        "async+redis://",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="dvllm",
        **options,
    )
    try:
        yield SturdyWindows(RedisWindows(LibraryWindow(storage)), MemoryWindows())
    finally:
        await pool.aclose()


class SlidingCounters(Protocol):
    """What the library's storages have for its strategy of this name; times are seconds."""

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]: ...

    async def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool: ...


class LibraryWindow:
    """One counter at a time. Raises what the storage raises."""

    def __init__(self, storage: SlidingCounters) -> None:
        self._storage = storage

    async def read(self, one: Counted) -> Window:
        window_s = one.rate.window_s
        read = await self._storage.get_sliding_window(_name(one), window_s)
        previous, previous_ttl_s, current, current_ttl_s = read
        # A window's counter lives for two windows, so that it can be the previous one in the next.
        rest_s = current_ttl_s - window_s if current_ttl_s > 0 else previous_ttl_s
        return Window(one.rate, previous, current, max(0.0, rest_s))

    async def take(self, one: Counted, n_calls: int) -> bool:
        rate = one.rate
        return await self._storage.acquire_sliding_window_entry(
            _name(one), rate.n_calls, rate.window_s, n_calls
        )


class RedisWindows:
    """Asks for several counters at the same time: each takes a way to Redis and back."""

    def __init__(self, window: LibraryWindow) -> None:
        self._window = window

    async def read(self, counted: Sequence[Counted]) -> list[Window]:
        return await asyncio.gather(*(self._window.read(one) for one in counted))

    async def take(self, counted: Sequence[Counted], n_calls: int) -> Taken:
        windows = await self.read(counted)
        if not all(window.allows(n_calls) for window in windows):
            return Taken(False, windows)
        taken = await asyncio.gather(*(self._window.take(one, n_calls) for one in counted))
        if all(taken):
            return Taken(True, windows)
        return Taken(False, await self.read(counted))  # other gateways were quicker


class SturdyWindows:
    """Counts in `shared`, and in `own` for a while when that does not answer.

    Each gateway then allows what all together should: better than to refuse or allow everything.
    `retry_s` is how long Redis is left alone.
    """

    def __init__(
        self,
        shared: Windows,
        own: Windows,
        *,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._own = own
        self.retry_s = retry_s
        self._clock = clock
        self._away_until_s: float | None = None

    async def read(self, counted: Sequence[Counted]) -> list[Window]:
        windows = await self._asked(partial(self._shared.read, counted))
        return await self._own.read(counted) if windows is None else windows

    async def take(self, counted: Sequence[Counted], n_calls: int) -> Taken:
        taken = await self._asked(partial(self._shared.take, counted, n_calls))
        return await self._own.take(counted, n_calls) if taken is None else taken

    async def _asked(self, ask: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """None while the shared ones do not answer."""
        if not self._is_worth_asking():
            return None
        try:
            answer = await ask()
        except StorageError as error:
            self._note_away(error)
            return None
        self._note_back()
        return answer

    def _is_worth_asking(self) -> bool:
        return self._away_until_s is None or self._clock() >= self._away_until_s

    def _note_away(self, error: StorageError) -> None:
        if self._away_until_s is None:
            log.warning(
                "redis is away: each gateway counts for itself", extra={"error": str(error)}
            )
        self._away_until_s = self._clock() + self.retry_s

    def _note_back(self) -> None:
        if self._away_until_s is not None:
            log.warning("redis is back: rates are counted together again")
            self._away_until_s = None


def _name(one: Counted) -> str:
    """A changed rate starts to count anew."""
    return f"{one.rate.n_calls}/{one.rate.window_s}/{one.key}"
