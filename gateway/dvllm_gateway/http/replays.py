"""Calls that cost money happen once for each Idempotency-Key, however often they are sent."""

import hashlib
import logging
from dataclasses import replace
from functools import partial

from aiohttp import web

from dvllm_gateway.errors import GatewayError, InvalidRequest, RetryableGatewayError
from dvllm_gateway.http.background import Background
from dvllm_gateway.http.door import Door
from dvllm_gateway.http.operation import AnyCall, Operation, Reply
from dvllm_gateway.http.replies import REPLAYED, response, stored_reply
from dvllm_gateway.services.counted_before import CountedBefore
from dvllm_gateway.services.keyed_tasks import KeyedTasks
from dvllm_gateway.services.placed_before import PlacedBefore
from dvllm_gateway.services.ports import Attempt, Idempotency, StoredReply
from dvllm_gateway.services.stores import KeyOf

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
        if not operation.spends or call.principal is None:
            return _rendered(await operation.handler(call))
        key = call.request.headers.get(KEY_HEADER)
        if key is None:
            return _rendered(await operation.handler(call))
        if not 0 < len(key) <= MAX_KEY_CHARACTERS or not key.isascii():
            raise InvalidRequest(
                f"{KEY_HEADER}: 1 to {MAX_KEY_CHARACTERS} characters of ASCII", field=KEY_HEADER
            )
        account = call.principal.account
        joins = operation.streams is not None and operation.streams(call.body)
        begun = await self._kept.begin(account, key, _digest(operation, raw), joins=joins)
        if isinstance(begun, StoredReply):
            return response(begun, further={REPLAYED: "true"})
        tasks = KeyedTasks(call.core.tasks, begun)
        core = replace(call.core, tasks=tasks)
        if not begun.is_new:
            limits = CountedBefore(core.limits)
            network = PlacedBefore(core.network, partial(tasks.has_first, account))
            core = replace(core, limits=limits, network=network)
        call = replace(call, core=core)
        if not begun.is_mine:
            return _rendered(await operation.handler(call))
        keyed = _Keyed(self._kept, self._door, call, KeyOf(account, key), begun)
        # The caller means to ask again: its leaving ends nothing.
        return await self._background.to_its_end(keyed.answer(operation, tasks))


class _Keyed:
    """One attempt at a request with a key, and what is kept of how it ends."""

    def __init__(
        self, kept: Idempotency, door: Door, call: AnyCall, key: KeyOf, attempt: Attempt
    ) -> None:
        self._kept = kept
        self._door = door
        self._call = call
        self._key = key
        self._attempt = attempt

    async def answer(self, operation: Operation, tasks: KeyedTasks) -> web.StreamResponse:
        try:
            result = await operation.handler(self._call)
        except GatewayError as error:
            await self._failed(error, tasks)
            raise
        except BaseException:  # the caller or this process goes; its tasks do not
            await self._keep(None)
            raise
        await self._keep(stored_reply(result) if isinstance(result, Reply) else None)
        return _rendered(result)

    async def _failed(self, error: GatewayError, tasks: KeyedTasks) -> None:
        goes_on = isinstance(error, RetryableGatewayError)
        if error.task_created and not goes_on:
            await self._keep(self._door.spell(error, self._call.request_id))
        elif error.task_created:  # who asks again waits for that very task
            await self._keep(None)
        elif self._is_undone(error, tasks):
            await tasks.give_up()
            await self._kept.abandon(*self._key)
        else:
            await self._keep(None)

    def _is_undone(self, error: GatewayError, tasks: KeyedTasks) -> bool:
        """Not while the same call may succeed later, or if a former attempt may have begun tasks:
        then the next one goes on with them."""
        if isinstance(error, RetryableGatewayError) and not tasks.is_unwanted:
            return False
        return tasks.has_begun or self._attempt.is_new

    async def _keep(self, reply: StoredReply | None) -> None:
        """None lets whoever asks next go on with the tasks."""
        try:
            if reply is None:
                await self._kept.let_go(*self._key)
            else:
                await self._kept.finish(*self._key, reply)
        except GatewayError as error:  # the work is done: its caller is told all the same
            log.warning("a reply was not kept for its key: %s", error.message)


def _rendered(result: Reply | web.StreamResponse) -> web.StreamResponse:
    return response(stored_reply(result)) if isinstance(result, Reply) else result


def _digest(operation: Operation, raw: bytes) -> bytes:
    return hashlib.sha256(operation.name.encode() + b"\0" + raw).digest()
