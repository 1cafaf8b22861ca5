"""Requests with a key happen once: who sends one again gets the first reply again."""

import asyncio
import logging
from collections.abc import Callable

from dvllm_gateway.errors import Conflict, GatewayError
from dvllm_gateway.ids import AccountId, new_task_id
from dvllm_gateway.services.clock import unix_ms
from dvllm_gateway.services.ports import Attempt, StoredReply
from dvllm_gateway.services.stores import IdempotencyStore, KeyOf

log = logging.getLogger(__name__)

KEPT_MS = 24 * 3600 * 1000
HELD_MS = 15_000
RETRY_AFTER_S = 2


class StoredIdempotency:
    """The port Idempotency.

    A process holds the keys of the requests that run in it, for a while at a time: `run` holds them
    for longer. When it is gone, whoever asks next goes on with the tasks that were begun.
    """

    def __init__(
        self,
        store: IdempotencyStore,
        *,
        held_ms: int = HELD_MS,
        clock_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._store = store
        self._held_ms = held_ms
        self._clock_ms = clock_ms
        self._held: set[KeyOf] = set()

    async def begin(
        self, account: AccountId, key: str, digest: bytes, *, joins: bool
    ) -> StoredReply | Attempt:
        now_ms = self._clock_ms()
        claim = await self._store.claim(
            KeyOf(account, key),
            digest,
            new_task_id(),
            now_ms=now_ms,
            held_until_ms=now_ms + self._held_ms,
            until_ms=now_ms + KEPT_MS,
        )
        if claim.digest != digest:
            raise Conflict("this idempotency key was used for another request")
        if claim.reply is not None:
            return claim.reply
        if claim.first_task is None:
            raise Conflict("an older release took this idempotency key, and kept no reply")
        if claim.is_mine:
            self._held.add(KeyOf(account, key))
        elif not joins:
            raise Conflict(
                "a request with this idempotency key has no reply yet", retry_after_s=RETRY_AFTER_S
            )
        return Attempt(claim.first_task, is_new=claim.is_new, is_mine=claim.is_mine)

    async def finish(self, account: AccountId, key: str, reply: StoredReply) -> None:
        self._held.discard(KeyOf(account, key))
        await self._store.settle(KeyOf(account, key), reply)

    async def let_go(self, account: AccountId, key: str) -> None:
        self._held.discard(KeyOf(account, key))
        await self._store.hold([KeyOf(account, key)], until_ms=0)

    async def abandon(self, account: AccountId, key: str) -> None:
        self._held.discard(KeyOf(account, key))
        await self._store.release(KeyOf(account, key))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._held_ms / 3000)
            if self._held:
                await self._hold_on()

    async def _hold_on(self) -> None:
        try:
            until_ms = self._clock_ms() + self._held_ms
            await self._store.hold(sorted(self._held), until_ms=until_ms)
        except GatewayError as error:  # no harm: a task of a key is made once, whoever asks for it
            log.warning("keys_not_held", extra={"reason": error.message})
