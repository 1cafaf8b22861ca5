"""What a node told of our jobs over one connection, kept for who will listen to each."""

import asyncio
import re
from collections import OrderedDict, deque
from typing import Any, Self, TypeGuard

from decentralized_vllm.protocol.errors import ContentUnavailable
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.requester.server_events import ServerEvent

# Of tasks that nobody streams everything is dropped in the end, so little of each is kept.
JOBS_KEPT = 256
BYTES_KEPT = 1 << 16
BYTES_AHEAD = 1 << 20  # of its listener
IDS_REMEMBERED = 8192
_OVERHEAD = 500  # of an event in memory

# All that is looked at. Whatever else a stranger adds takes memory, nested lists many times theirs.
_NAMES = frozenset({"text", "stage", "end"})
_FIELDS = ("job_id", "stage", "text", "n_tokens", "response_cid", "response")
_MOST_BITS = 64
_JOB_ID = re.compile("[0-9]{1,78}")


class ToldJob:
    """`async for event in job`, by one listener: from the job's start to its end.

    Raises ContentUnavailable when the connection ends before.
    """

    def __init__(self) -> None:
        self.is_taken = False
        self.is_over = False
        self._events: deque[ServerEvent] = deque()
        self._n_bytes = 0
        self._error: ContentUnavailable | None = None
        self._news = asyncio.Event()

    @property
    def is_too_long(self) -> bool:
        return self._n_bytes > (BYTES_AHEAD if self.is_taken else BYTES_KEPT)

    def add(self, event: ServerEvent) -> None:
        self._events.append(event)
        self._n_bytes += _size(event)
        self.is_over = event.name == "end"
        self._news.set()

    def fail(self, error: ContentUnavailable) -> None:
        self._error = error
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        while not self._events:
            if self.is_over:
                raise StopAsyncIteration
            if self._error is not None:
                raise self._error
            await self._news.wait()
            self._news.clear()
        event = self._events.popleft()
        self._n_bytes -= _size(event)
        return event


class ToldJobs:
    """All stories are whole: a job of which something was dropped is told of no more."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, ToldJob] = OrderedDict()
        self._dropped: OrderedDict[str, None] = OrderedDict()
        self._awaited: dict[str, asyncio.Event] = {}
        self._error: ContentUnavailable | None = None

    def add(self, event: ServerEvent) -> None:
        job_id = event.fields.get("job_id")
        if event.name not in _NAMES or not _is_job_id(job_id):
            return
        if job_id in self._dropped:
            if event.name == "end":
                del self._dropped[job_id]
            return
        self._add(job_id, _without_more(event))

    def _add(self, job_id: str, event: ServerEvent) -> None:
        job = self._jobs.get(job_id)
        if job is None or job.is_over:  # ended here, and leased to this node again
            self._jobs.pop(job_id, None)  # in its place the new story would be the oldest
            job = self._jobs[job_id] = ToldJob()
            self._make_room()
        job.add(event)
        if job.is_too_long:
            job.fail(ContentUnavailable("a job's events are not taken as fast as they come"))
            self._drop(job_id)
        if (awaited := self._awaited.get(job_id)) is not None:
            awaited.set()

    async def take(self, job_id: JobId, *, within_s: float) -> ToldJob | None:
        """For the only listener of a job, once something was told of it; None if nothing comes."""
        name = str(job_id)
        if name not in self._jobs and name not in self._dropped and self._error is None:
            await self._comes(name, within_s)
        job = self._jobs.get(name)
        if job is None or job.is_taken:
            return None
        job.is_taken = True
        return job

    def leave(self, job_id: JobId, job: ToldJob) -> None:
        name = str(job_id)
        if self._jobs.get(name) is job:
            if job.is_over:
                del self._jobs[name]
            else:
                self._drop(name)

    def break_off(self, error: ContentUnavailable) -> None:
        self._error = error
        for job in self._jobs.values():
            job.fail(error)
        for awaited in self._awaited.values():
            awaited.set()

    async def _comes(self, name: str, within_s: float) -> None:
        awaited = self._awaited.setdefault(name, asyncio.Event())
        try:
            async with asyncio.timeout(within_s):
                await awaited.wait()
        except TimeoutError:
            pass
        finally:
            if self._awaited.get(name) is awaited:
                del self._awaited[name]

    def _make_room(self) -> None:
        untaken = [name for name, job in self._jobs.items() if not job.is_taken]
        if len(untaken) > JOBS_KEPT:
            self._drop(untaken[0])

    def _drop(self, name: str) -> None:
        job = self._jobs.pop(name)
        if not job.is_over:
            self._dropped[name] = None
        while len(self._dropped) > IDS_REMEMBERED:
            self._dropped.popitem(last=False)


def _is_job_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _JOB_ID.fullmatch(value) is not None


def _without_more(event: ServerEvent) -> ServerEvent:
    fields = {name: event.fields[name] for name in _FIELDS if _is_plain(event.fields.get(name))}
    return ServerEvent(event.name, fields)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and value.bit_length() <= _MOST_BITS)


def _size(event: ServerEvent) -> int:
    strings = (value for value in event.fields.values() if isinstance(value, str))
    return _OVERHEAD + sum(map(len, strings))
