"""Which signed requests were seen: none is accepted twice within its window."""

from collections import OrderedDict

from decentralized_vllm.protocol.errors import InvalidSignature, RetryableError
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.request_auth import WINDOW_S

MAX_NONCES = 100_000


class TooManyRequests(RetryableError):
    pass


class NonceBook:
    """In memory: a restart forgets, and what is guarded here only reads."""

    def __init__(self, *, window_s: float = 2 * WINDOW_S) -> None:
        self._window_s = window_s
        self._seen: OrderedDict[tuple[Address, str], float] = OrderedDict()

    def use(self, address: Address, nonce: str, *, now_s: float) -> None:
        """Raises InvalidSignature (seen before) and TooManyRequests (the book is full)."""
        self._drop_old(now_s)
        if (address, nonce) in self._seen:
            raise InvalidSignature("X-Wallet-Nonce: this request was seen before")
        if len(self._seen) >= MAX_NONCES:
            raise TooManyRequests("too many signed requests at once")
        self._seen[(address, nonce)] = now_s

    def _drop_old(self, now_s: float) -> None:
        while self._seen:
            key, seen_s = next(iter(self._seen.items()))
            if now_s - seen_s <= self._window_s:
                return
            del self._seen[key]
