"""Where rates are counted: the counters of the library `limits`, and those of this process."""

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from limits.aio.storage import MemoryStorage

from dvllm_gateway.services.rate_windows import Counted, Window

MAX_COUNTERS = 1_000_000

_LOOKED_AT_PER_HIT = 2


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


class MemoryWindows:
    """Of this process. Never waits, so nothing comes between reading and taking."""

    def __init__(self) -> None:
        self._window = LibraryWindow(SweptMemoryStorage())

    async def read(self, counted: Sequence[Counted]) -> list[Window]:
        return [await self._window.read(one) for one in counted]

    async def take(self, counted: Sequence[Counted], n_calls: int) -> bool:
        for one in counted:
            if not await self._window.take(one, n_calls):
                return False
        return True


class SweptMemoryStorage(MemoryStorage):
    """The library's looks through all of its counters at every hit; this one at the two oldest.

    At `max_counters` the oldest is forgotten: whoever makes a million of them gains a few calls.
    """

    def __init__(self, *, max_counters: int = MAX_COUNTERS) -> None:
        super().__init__()
        self._max_counters = max_counters
        self._by_age: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._by_age)

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        count = await self.get(key) + amount
        if key not in self.expirations:
            self.expirations[key] = time.time() + expiry
            self._by_age.append(key)
        self.storage[key] = count
        self._sweep()
        return count

    def _sweep(self) -> None:
        now_s = time.time()
        for _ in range(min(_LOOKED_AT_PER_HIT, len(self._by_age))):
            key = self._by_age.popleft()
            is_one_too_many = len(self._by_age) >= self._max_counters
            if is_one_too_many or self.expirations.get(key, 0.0) <= now_s:
                self.storage.pop(key, None)
                self.expirations.pop(key, None)
            else:
                self._by_age.append(key)


def _name(one: Counted) -> str:
    """A changed rate starts to count anew."""
    return f"{one.rate.n_calls}/{one.rate.window_s}/{one.key}"
