"""Calls that cost money happen once for each Idempotency-Key, however often they are sent."""

import hashlib
import logging

from aiohttp import web

from dvllm_gateway.errors import Conflict, GatewayError, InternalError, InvalidRequest
from dvllm_gateway.http.background import Background
from dvllm_gateway.http.door import Door
from dvllm_gateway.http.operation import AnyCall, Operation, Reply
from dvllm_gateway.http.replies import REPLAYED, response, stored_reply
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.ports import Idempotency, StoredReply

log = logging.getLogger(__name__)

KEY_HEADER = "Idempotency-Key"
MAX_KEY_CHARACTERS = 255


class Replays:
    def __init__(self, kept: Idempotency, door: Door, background: Background) -> None:
        self._kept = kept
        self._door = door
        self._background = background

    async def answer(self, operation: Operation, call: AnyCall, raw: bytes) -> web.StreamResponse:
        """Raises Conflict: the key is in use, or was used with another body."""
        key = call.request.headers.get(KEY_HEADER)
        if key is None or not operation.spends or call.principal is None:
            return _rendered(await operation.handler(call))
        if not 0 < len(key) <= MAX_KEY_CHARACTERS:
            raise InvalidRequest(
                f"{KEY_HEADER}: 1 to {MAX_KEY_CHARACTERS} characters", field=KEY_HEADER
            )
        account = call.principal.account
        stored = await self._kept.begin(account, key, _digest(operation, raw))
        if stored is not None:
            return response(stored, further={REPLAYED: "true"})
        # The caller means to ask again: its leaving ends nothing.
        return await self._background.to_its_end(self._first(operation, call, account, key))

    async def _first(
        self, operation: Operation, call: AnyCall, account: AccountId, key: str
    ) -> web.StreamResponse:
        try:
            result = await operation.handler(call)
        except GatewayError as error:
            if error.task_created:
                await self._keep(account, key, self._door.spell(error, call.request_id))
            else:
                await self._kept.abandon(account, key)
            raise
        except ConnectionError:
            await self._keep(account, key, self._no_replay(call))
            raise
        except BaseException:  # nobody knows what it did: it must not happen twice
            lost = InternalError("internal error")
            await self._keep(account, key, self._door.spell(lost, call.request_id))
            raise
        if isinstance(result, Reply):
            await self._keep(account, key, stored_reply(result))
        else:
            await self._keep(account, key, self._no_replay(call))
        return _rendered(result)

    async def _keep(self, account: AccountId, key: str, reply: StoredReply) -> None:
        try:
            await self._kept.finish(account, key, reply)
        except GatewayError as error:  # the work is done: its caller is told all the same
            log.warning("a reply was not kept for its key: %s", error.message)

    def _no_replay(self, call: AnyCall) -> StoredReply:
        was_stream = Conflict("the reply to this key was a stream, which is not sent again")
        return self._door.spell(was_stream, call.request_id)


def _rendered(result: Reply | web.StreamResponse) -> web.StreamResponse:
    return response(stored_reply(result)) if isinstance(result, Reply) else result


def _digest(operation: Operation, raw: bytes) -> bytes:
    return hashlib.sha256(operation.name.encode() + b"\0" + raw).digest()
