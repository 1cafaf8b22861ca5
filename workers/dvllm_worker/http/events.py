"""`GET /jobs/{id}/events`: server-sent events of progress and text, for the job's requester."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from aiohttp import web

from decentralized_vllm.protocol.errors import InvalidSignature
from dvllm_worker.http.callers import Callers
from dvllm_worker.http.errors import refusal
from dvllm_worker.http.hub import JobHub, Notice, TooManyListeners
from dvllm_worker.http.jobs import JobsSoonKnown, job_id_of
from dvllm_worker.http.nonces import TooManyRequests

HEARTBEAT_S = 15.0
WRITE_TIMEOUT_S = 30.0
MAX_STREAM_S = 1800.0


class EventStream:
    def __init__(self, jobs: JobsSoonKnown, hub: JobHub, callers: Callers) -> None:
        self._jobs = jobs
        self._hub = hub
        self._callers = callers

    async def get(self, request: web.Request) -> web.StreamResponse:
        try:
            caller = self._callers.signer_of(request)
        except InvalidSignature as error:
            return refusal(401, error.message)
        except TooManyRequests as error:
            return refusal(429, error.message)
        row = await self._jobs.latest(job_id_of(request))
        if row is None:
            return refusal(404, "this node knows no such job")
        if row.request.controller != caller:
            return refusal(403, "only the requester of a job may listen to it")
        try:
            return await self._stream(request, self._hub.listen(row))
        except TooManyListeners as error:
            return refusal(429, error.message)

    async def _stream(
        self, request: web.Request, notices: AsyncGenerator[Notice, None]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        async with aclosing(notices):
            first = await anext(notices)  # a refusal is still a proper answer here
            await response.prepare(request)
            await _write(response, first)
            # Too long, or a reader that does not read: it may connect again.
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_STREAM_S):
                    await _write_all(response, notices)
        return response


async def _write_all(response: web.StreamResponse, notices: AsyncGenerator[Notice, None]) -> None:
    """Writes each notice as it comes, and a comment when none does for a while."""
    following = asyncio.ensure_future(anext(notices, None))
    try:
        while True:
            done, _ = await asyncio.wait([following], timeout=HEARTBEAT_S)
            if not done:
                await _send(response, b": \n\n")
                continue
            notice = following.result()
            if notice is None:
                return
            await _write(response, notice)
            following = asyncio.ensure_future(anext(notices, None))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _write(response: web.StreamResponse, notice: Notice) -> None:
    data = json.dumps(notice.data, ensure_ascii=False, separators=(",", ":"))
    await _send(response, f"event: {notice.name}\ndata: {data}\n\n".encode())


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(data)
