"""Hands a job's progress and text to whoever listens to it, or to all jobs of its requester."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from decentralized_vllm.protocol.errors import DvllmError, RetryableError
from decentralized_vllm.protocol.ids import Address, Cid, JobId
from dvllm_worker.http.inbox import Inbox, Notice
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import CLOSED, Stage

JOBS_REMEMBERED = 512
LISTENERS_PER_JOB = 8
LISTENERS_PER_REQUESTER = 8
REQUESTERS_LISTENING = 256  # the others listen to job after job
MAX_EARLY = 1024
MAX_TOLD_ANSWER_BYTES = 16 * 1024  # a longer one is read by its CID

_NOT_OURS = frozenset({Stage.SEEN, Stage.TAKING})


class TooManyListeners(RetryableError):
    pass


@dataclass(slots=True)
class _Channel:
    job_id: JobId
    requester: Address
    stages: list[Notice] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    n_tokens: int = 0
    answer: tuple[Cid, str] | None = None
    end: Notice | None = None
    inboxes: list[Inbox] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Somebody listens, or the node is at work on it. A job that is merely seen is not."""
        is_at_work = self.end is None and any(
            notice.data["stage"] not in _NOT_OURS for notice in self.stages
        )
        return is_at_work or bool(self.inboxes)

    def history(self) -> list[Notice]:
        """What a late listener missed, the text in one piece."""
        notices = list(self.stages)
        if self.text:
            notices.append(text_notice(self.job_id, "".join(self.text), self.n_tokens))
        return notices if self.end is None else [*notices, self.end]


class JobHub:
    """An Onlooker. Memory is bounded: so many jobs, so many listeners, so many waiting notices."""

    def __init__(self) -> None:
        self._channels: OrderedDict[JobId, _Channel] = OrderedDict()
        self._audiences: dict[Address, list[Inbox]] = {}
        self._early: dict[JobId, set[asyncio.Event]] = {}
        self._n_early = 0

    async def appears(self, job_id: JobId, *, within_s: float) -> None:
        """Until something is heard of the job, or the time is up; at once when too many wait."""
        if self._n_early >= MAX_EARLY:
            return
        heard = asyncio.Event()
        self._early.setdefault(job_id, set()).add(heard)
        self._n_early += 1
        try:
            async with asyncio.timeout(within_s):
                await heard.wait()
        except TimeoutError:
            pass
        finally:
            self._forget_early(job_id, heard)

    def _forget_early(self, job_id: JobId, heard: asyncio.Event) -> None:
        self._n_early -= 1
        waiting = self._early[job_id]
        waiting.remove(heard)
        if not waiting:
            del self._early[job_id]

    def on_stage(self, row: JobRow) -> None:
        for heard in self._early.get(row.job_id, ()):
            heard.set()
        channel = self._channel(row)
        if row.stage is Stage.GENERATING:
            channel.text, channel.n_tokens = [], 0  # a restart makes a new answer
        notice = stage_notice(row)
        if row.stage is Stage.GENERATED and channel.answer is not None:
            cid, document = channel.answer
            if cid == row.response_cid:
                notice.data["response"] = document
        channel.stages.append(notice)
        self._tell(channel, notice)
        if row.stage in CLOSED:
            channel.end = Notice("end", notice.data)
            self._tell(channel, channel.end)

    def on_trouble(self, row: JobRow, error: DvllmError) -> None:
        """What troubles the node is its own affair."""

    def on_text(self, job_id: JobId, text: str, n_tokens: int) -> None:
        channel = self._channels.get(job_id)
        if channel is None:
            return  # pushed out by hundreds of later jobs
        channel.text.append(text)
        channel.n_tokens += n_tokens
        self._tell(channel, text_notice(job_id, text, n_tokens))

    def on_answer(self, job_id: JobId, cid: Cid, document: bytes) -> None:
        """Told along with its stage, which spares whoever listens another request for it."""
        channel = self._channels.get(job_id)
        if channel is not None and len(document) <= MAX_TOLD_ANSWER_BYTES:
            channel.answer = cid, document.decode()

    @contextmanager
    def listen(self, row: JobRow) -> Iterator[Inbox]:
        """Everything from the start of the job to its end. Raises TooManyListeners."""
        if row.job_id not in self._channels:
            self.on_stage(row)  # known from a former process only
        channel = self._channels[row.job_id]
        if len(channel.inboxes) >= LISTENERS_PER_JOB:
            raise TooManyListeners("too many listen to this job")
        inbox = Inbox(channel.history())
        channel.inboxes.append(inbox)
        try:
            yield inbox
        finally:
            channel.inboxes.remove(inbox)

    @contextmanager
    def listen_to_all(self, requester: Address) -> Iterator[Inbox]:
        """All jobs of a requester: those that run from their start, and those to come.

        Raises TooManyListeners.
        """
        seats = self._seats(requester)
        running = (c for c in self._channels.values() if c.requester == requester and not c.end)
        inbox = Inbox([notice for c in running for notice in c.history()], is_of_all=True)
        seats.append(inbox)
        try:
            yield inbox
        finally:
            seats.remove(inbox)
            if not seats:
                del self._audiences[requester]

    def dismiss(self) -> None:
        """Ends what would never end by itself: the node stops."""
        for seats in self._audiences.values():
            for inbox in seats:
                inbox.end()

    def _seats(self, requester: Address) -> list[Inbox]:
        """Raises TooManyListeners."""
        seats = self._audiences.get(requester, [])
        if len(seats) >= LISTENERS_PER_REQUESTER or (
            not seats and len(self._audiences) >= REQUESTERS_LISTENING
        ):
            raise TooManyListeners("too many listen to all of their jobs: listen to each")
        return self._audiences.setdefault(requester, seats)

    def _tell(self, channel: _Channel, notice: Notice) -> None:
        for inbox in channel.inboxes:
            inbox.put(notice)
        for inbox in self._audiences.get(channel.requester, ()):
            inbox.put(notice)

    def _channel(self, row: JobRow) -> _Channel:
        """A job that ended here and was leased to us again starts a new story."""
        channel = self._channels.get(row.job_id)
        if channel is None or (channel.end is not None and row.stage not in CLOSED):
            channel = self._channels[row.job_id] = _Channel(row.job_id, row.request.controller)
        self._channels.move_to_end(row.job_id)
        while len(self._channels) > JOBS_REMEMBERED:
            self._forget_one(but=row.job_id)
        return channel

    def _forget_one(self, *, but: JobId) -> None:
        """Whoever asks for hundreds of old jobs takes nothing from those that run."""
        others = (job_id for job_id in self._channels if job_id != but)
        oldest = next(iter(self._channels))
        del self._channels[next((j for j in others if not self._channels[j].is_live), oldest)]


def stage_notice(row: JobRow) -> Notice:
    data: dict[str, Any] = {"job_id": str(row.job_id), "stage": row.stage.value}
    if row.response_cid is not None:
        data["response_cid"] = row.response_cid
    if row.tx_hash is not None:
        data["tx_hash"] = row.tx_hash
    if row.failure is not None:
        data["failure"] = row.failure.name.lower()
    return Notice("stage", data)


def text_notice(job_id: JobId, text: str, n_tokens: int) -> Notice:
    return Notice("text", {"job_id": str(job_id), "text": text, "n_tokens": n_tokens})
