"""How much a caller may hold at once: connections, for one."""

from collections.abc import Iterator
from contextlib import contextmanager

from dvllm_gateway.errors import RateLimited

RETRY_AFTER_S = 5

WEBSOCKETS_PER_ADDRESS = 10


class Places:
    """`n_each` places for each caller, in this process; `what` is what takes one, in the plural."""

    def __init__(self, n_each: int, what: str) -> None:
        self._n_each = n_each
        self._what = what
        self._taken: dict[str, int] = {}

    def taken_by(self, caller: str) -> int:
        return self._taken.get(caller, 0)

    @contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Raises RateLimited."""
        if self.taken_by(caller) >= self._n_each:
            raise RateLimited(
                f"{self._n_each} {self._what} at once are open already", retry_after_s=RETRY_AFTER_S
            )
        self._taken[caller] = self.taken_by(caller) + 1
        try:
            yield
        finally:
            self._leave(caller)

    def _leave(self, caller: str) -> None:
        left = self._taken[caller] - 1
        if left:
            self._taken[caller] = left
        else:
            del self._taken[caller]
