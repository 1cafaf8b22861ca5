"""One stream of events per node for all jobs of this gateway, dealt out to who listens to each.

A stream per job costs both sides a connection, a signature and a round trip, just when all jobs
of a block begin.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Protocol

from decentralized_vllm.protocol.errors import ContentUnavailable
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.requester.server_events import ServerEvent
from dvllm_gateway.market.told_jobs import ToldJob, ToldJobs

log = logging.getLogger(__name__)

HEARD_WITHIN_S = 2.0  # then the node is asked for the job itself
IDLE_S = 60.0
UNHEARD_S = 60.0  # before a node that told nothing is asked for a stream again


class NodeDoor(Protocol):
    """Both raise ContentUnavailable."""

    def events(self, endpoint: str, job_id: JobId) -> AsyncGenerator[ServerEvent, None]: ...

    def all_events(self, endpoint: str) -> AsyncGenerator[ServerEvent, None]: ...


class NodeStreams:
    """Opens a stream with the first listener of a node, and closes it when none is left.

    Close it with `close()`.
    """

    def __init__(self, door: NodeDoor) -> None:
        self._door = door
        self._streams: dict[str, _NodeStream] = {}
        self._unheard_until_s: dict[str, float] = {}

    async def events(self, endpoint: str, job_id: JobId) -> AsyncGenerator[ServerEvent, None]:
        """What the node tells of a job, from its start. Raises ContentUnavailable."""
        if not self._is_unheard(endpoint):
            with self._stream_of(endpoint).listener() as stream:
                job = await stream.take(job_id)
                if job is not None:
                    with stream.listening(job_id, job):
                        async for event in job:
                            yield event
                    return
        async with aclosing(self._door.events(endpoint, job_id)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        for stream in list(self._streams.values()):
            await stream.close()

    def _stream_of(self, endpoint: str) -> "_NodeStream":
        stream = self._streams.get(endpoint)
        if stream is None:
            events = self._door.all_events(endpoint)
            stream = _NodeStream(events, lambda ended: self._ended(endpoint, ended))
            self._streams[endpoint] = stream
        return stream

    def _is_unheard(self, endpoint: str) -> bool:
        return _now_s() < self._unheard_until_s.get(endpoint, 0.0)

    def _ended(self, endpoint: str, stream: "_NodeStream") -> None:
        if self._streams.get(endpoint) is stream:
            del self._streams[endpoint]
        if not stream.was_heard:  # an older release, or too many who listen: job by job, then
            self._unheard_until_s = {
                name: at_s for name, at_s in self._unheard_until_s.items() if at_s > _now_s()
            } | {endpoint: _now_s() + UNHEARD_S}


class _NodeStream:
    """Reads for as long as somebody listens, and `IDLE_S` longer."""

    def __init__(
        self,
        events: AsyncGenerator[ServerEvent, None],
        on_end: Callable[["_NodeStream"], None],
    ) -> None:
        self.was_heard = False
        self._on_end = on_end
        self._jobs = ToldJobs()
        self._n_listeners = 0
        self._idle: asyncio.TimerHandle | None = None
        self._reading = asyncio.create_task(self._read(events))

    @contextmanager
    def listener(self) -> Iterator["_NodeStream"]:
        self._n_listeners += 1
        self._end_idling()
        try:
            yield self
        finally:
            self._n_listeners -= 1
            if not self._n_listeners:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(IDLE_S, self._reading.cancel)

    async def take(self, job_id: JobId) -> ToldJob | None:
        return await self._jobs.take(job_id, within_s=HEARD_WITHIN_S)

    @contextmanager
    def listening(self, job_id: JobId, job: ToldJob) -> Iterator[None]:
        try:
            yield
        finally:
            self._jobs.leave(job_id, job)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self, events: AsyncGenerator[ServerEvent, None]) -> None:
        reason = "it has no more to tell"
        try:
            async with aclosing(events):
                async for event in events:
                    self.was_heard = True
                    self._jobs.add(event)
        except ContentUnavailable as error:
            reason = error.message
        finally:
            self._end_idling()
            self._on_end(self)
            self._jobs.break_off(ContentUnavailable(f"a node's stream ended: {reason}"))
        log.info("node_stream_ended", extra={"reason": reason})

    def _end_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _now_s() -> float:
    return asyncio.get_running_loop().time()
