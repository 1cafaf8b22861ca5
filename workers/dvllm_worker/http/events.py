"""Server-sent events of progress and text: of a job (`GET /jobs/{id}/events`), or of all jobs of
whoever asks (`GET /jobs/events`), for the requester.
"""

import asyncio
from contextlib import AbstractContextManager, suppress

from aiohttp import web
from pydantic_core import to_json

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address
from dvllm_worker.http.callers import Callers
from dvllm_worker.http.errors import refusal
from dvllm_worker.http.hub import JobHub, TooManyListeners
from dvllm_worker.http.inbox import Inbox, Notice
from dvllm_worker.http.jobs import JobsSoonKnown, job_id_of
from dvllm_worker.http.nonces import TooManyRequests

HEARTBEAT_S = 15.0
MAX_STREAM_S = 1800.0
_COMMENT = b": \n\n"


class EventStream:
    def __init__(self, jobs: JobsSoonKnown, hub: JobHub, callers: Callers) -> None:
        self._jobs = jobs
        self._hub = hub
        self._callers = callers

    async def get(self, request: web.Request) -> web.StreamResponse:
        caller = self._signer_of(request)
        if isinstance(caller, web.Response):
            return caller
        row = await self._jobs.latest(job_id_of(request))
        if row is None:
            return refusal(404, "this node knows no such job")
        if row.request.controller != caller:
            return refusal(403, "only the requester of a job may listen to it")
        return await _streamed(request, self._hub.listen(row))

    async def get_all(self, request: web.Request) -> web.StreamResponse:
        """Of the jobs that run from their start, and of those that come as they come."""
        caller = self._signer_of(request)
        if isinstance(caller, web.Response):
            return caller
        return await _streamed(request, self._hub.listen_to_all(caller))

    async def dismiss(self, _: web.Application) -> None:
        self._hub.dismiss()

    def _signer_of(self, request: web.Request) -> Address | web.Response:
        try:
            return self._callers.signer_of(request)
        except InvalidSignature as error:
            return refusal(401, error.message)
        except TooManyRequests as error:
            return refusal(429, error.message)


async def _streamed(
    request: web.Request, listening: AbstractContextManager[Inbox]
) -> web.StreamResponse:
    try:
        with listening as inbox:
            return await _stream(request, inbox)
    except TooManyListeners as error:
        return refusal(429, error.message)


async def _stream(request: web.Request, inbox: Inbox) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    # Too long: the listener may connect again.
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_STREAM_S):
            await _Writer(request, response, inbox).run()
    return response


class _Writer:
    """Writes notices as they come, in one piece what came together.

    One timer per stream, however many notices: at each beat a comment goes out where nothing else
    waits, and a reader that has not taken what was written before the last beat is cut off.
    """

    def __init__(self, request: web.Request, response: web.StreamResponse, inbox: Inbox) -> None:
        self._request = request
        self._response = response
        self._inbox = inbox
        self._is_writing = False
        self._was_writing = False  # at the last beat, and ever since
        self._next_beat = self._beat_later()

    async def run(self) -> None:
        try:
            async for notices in self._inbox:
                self._is_writing = True
                await self._response.write(b"".join(map(_encoded, notices)) or _COMMENT)
                self._is_writing = self._was_writing = False
        finally:
            self._next_beat.cancel()

    def _beat_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        if self._was_writing and self._request.transport is not None:
            self._request.transport.abort()
        self._was_writing = self._is_writing
        self._inbox.wake()
        self._next_beat = self._beat_later()


def _encoded(notice: Notice) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (notice.name.encode(), to_json(notice.data))
