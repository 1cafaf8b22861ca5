"""Requests with a key happen once: who sends one again gets the first reply again."""

from collections.abc import Callable

from dvllm_gateway.errors import Conflict
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.clock import unix_ms
from dvllm_gateway.services.ports import StoredReply
from dvllm_gateway.services.stores import IdempotencyStore

KEPT_MS = 24 * 3600 * 1000


class StoredIdempotency:
    """The port Idempotency.

    A key whose request broke off with its process, nobody knows how far, stays taken for the day:
    a second attempt could pay twice.
    """

    def __init__(self, store: IdempotencyStore, *, clock_ms: Callable[[], int] = unix_ms) -> None:
        self._store = store
        self._clock_ms = clock_ms

    async def begin(self, account: AccountId, key: str, digest: bytes) -> StoredReply | None:
        now_ms = self._clock_ms()
        claim = await self._store.claim(
            account, key, digest, now_ms=now_ms, until_ms=now_ms + KEPT_MS
        )
        if claim is None:
            return None
        if claim.digest != digest:
            raise Conflict("this idempotency key was used for another request")
        if claim.reply is None:
            raise Conflict(
                "a request with this idempotency key has no reply yet",
                details="if it broke off, see in the list of tasks what became of it",
            )
        return claim.reply

    async def finish(self, account: AccountId, key: str, reply: StoredReply) -> None:
        await self._store.settle(account, key, reply)

    async def abandon(self, account: AccountId, key: str) -> None:
        await self._store.release(account, key)
