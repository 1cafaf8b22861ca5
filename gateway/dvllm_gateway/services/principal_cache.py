"""Whom the last calls' keys stand for, for a moment: most calls come in bursts of one key."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dvllm_gateway.ids import KeyId
from dvllm_gateway.services.principals import Principal

KEPT_S = 2.0
MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class CachedPrincipal:
    """`mark` is a keyed hash of the key's secret, and is still to be compared."""

    mark: bytes
    principal: Principal
    until_s: float


class PrincipalCache:
    """Forgets after `kept_s` even what is in use, so that revocation holds everywhere."""

    def __init__(
        self, *, kept_s: float = KEPT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept_s = kept_s
        self._clock = clock
        self._kept: dict[KeyId, CachedPrincipal] = {}

    def get(self, key_id: KeyId) -> CachedPrincipal | None:
        kept = self._kept.get(key_id)
        if kept is None or self._clock() >= kept.until_s:
            return None
        return kept

    def put(self, key_id: KeyId, mark: bytes, principal: Principal) -> None:
        self._kept.pop(key_id, None)  # the newest one stands last
        if len(self._kept) >= MAX_KEYS:
            del self._kept[next(iter(self._kept))]
        self._kept[key_id] = CachedPrincipal(mark, principal, self._clock() + self._kept_s)

    def drop(self, key_id: KeyId) -> None:
        self._kept.pop(key_id, None)
