"""Follows the jobs of one key along the chain: one reader of its logs for all of them."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable

from decentralized_vllm.protocol.events import (
    EventBatch,
    InferenceRequested,
    JobEvent,
    LogPosition,
    VersionAnnounced,
)
from decentralized_vllm.protocol.ids import Address, BlockNumber, JobId, TxHash
from decentralized_vllm.protocol.ports import ChainFeed
from dvllm_gateway.services.latest import Latest
from dvllm_gateway.services.task_jobs import Job, JobWatch, Rejected, tell

log = logging.getLogger(__name__)

UNCLAIMED_KEPT = 4096


class _Story:
    """What was told of one submission's job, whoever watches it."""

    def __init__(self) -> None:
        self.watch: JobWatch | None = None
        self.transactions: set[TxHash] = set()
        self.job_ids: set[JobId] = set()
        self._events: dict[LogPosition, JobEvent] = {}

    @property
    def events(self) -> Iterable[JobEvent]:
        return self._events.values()

    def add(self, event: JobEvent) -> None:
        self._events[event.position] = event

    def forget_after(self, block: BlockNumber) -> None:
        self._events = {at: e for at, e in self._events.items() if at.block_number <= block}

    def job(self) -> Job | None:
        return tell(
            sorted(
                self._events.values(),
                key=lambda event: (event.position.block_number, event.position.log_index),
            )
        )

    def publish(self) -> None:
        if self.watch is not None and not isinstance(self.watch.value, Rejected):
            self.watch.set(self.job())


class Follower:
    """Knows a submission by its transaction, whichever comes first: the log or who sent it.

    A re-organisation takes back what it abandoned; what is mined again is told again.
    """

    def __init__(
        self, feed: ChainFeed, me: Address, on_announced: Callable[[VersionAnnounced], None]
    ) -> None:
        self._feed = feed
        self._me = me
        self._on_announced = on_announced
        self._by_tx: dict[TxHash, _Story] = {}
        self._by_job: dict[JobId, _Story] = {}
        self._by_watch: dict[JobWatch, _Story] = {}
        self._unclaimed: OrderedDict[TxHash, _Story] = OrderedDict()
        self._head: Latest[BlockNumber] = Latest(BlockNumber(-1))

    async def run(self) -> None:
        async for batch in self._feed.batches():
            self.apply(batch)
            await self._feed.advance(batch.cursor)

    async def reaches(self, block: BlockNumber) -> None:
        """Until everything up to this block was told."""
        await self._head.until(lambda head: head >= block)

    def follow(self, tx_hash: TxHash, watch: JobWatch) -> None:
        """One submission may have several transactions, of which one is mined."""
        story = self._by_watch.get(watch)
        known = self._by_tx.get(tx_hash)
        if story is None:
            story = known or _Story()
            story.watch = watch
            self._by_watch[watch] = story
        elif known is not None and known is not story:
            for event in known.events:
                self._tell(story, event)
        self._index(story, tx_hash)
        self._unclaimed.pop(tx_hash, None)
        story.publish()

    def adopt(self, watch: JobWatch, events: Iterable[JobEvent]) -> None:
        """What was found out of a followed job by asking for it."""
        story = self._by_watch.get(watch)
        if story is not None:
            for event in events:
                self._tell(story, event)
            story.publish()

    def watch_of(self, job_id: JobId) -> JobWatch | None:
        story = self._by_job.get(job_id)
        return story.watch if story else None

    def forget(self, watch: JobWatch) -> None:
        story = self._by_watch.pop(watch, None)
        if story is not None:
            self._drop(story)

    def open_jobs(self) -> list[Job]:
        """Those watched that are not over."""
        jobs = (watch.value for watch in self._by_watch)
        return [job for job in jobs if isinstance(job, Job) and not job.status.is_over]

    def apply(self, batch: EventBatch) -> None:
        touched: set[_Story] = set()
        if batch.rewound_to is not None:
            touched |= self._rewind(batch.rewound_to)
        for event in batch.events:
            if isinstance(event, VersionAnnounced):
                self._on_announced(event)
            elif isinstance(event, JobEvent) and (story := self._story_of(event)) is not None:
                self._tell(story, event)
                touched.add(story)
        for story in touched:
            story.publish()
        self._head.set(batch.cursor.number)

    def _story_of(self, event: JobEvent) -> _Story | None:
        if not isinstance(event, InferenceRequested):
            return self._by_job.get(event.job_id)
        if event.controller != self._me:
            return None
        tx_hash = event.position.tx_hash
        story = self._by_tx.get(tx_hash)
        if story is None:
            story = self._unclaimed[tx_hash] = _Story()
            self._index(story, tx_hash)
            self._drop_unclaimed()
        return story

    def _tell(self, story: _Story, event: JobEvent) -> None:
        story.add(event)
        if isinstance(event, InferenceRequested):
            story.job_ids.add(event.job_id)
            self._by_job[event.job_id] = story

    def _index(self, story: _Story, tx_hash: TxHash) -> None:
        story.transactions.add(tx_hash)
        self._by_tx[tx_hash] = story

    def _drop(self, story: _Story) -> None:
        for tx_hash in story.transactions:
            if self._by_tx.get(tx_hash) is story:
                del self._by_tx[tx_hash]
        self._drop_jobs(story)

    def _drop_jobs(self, story: _Story) -> None:
        for job_id in story.job_ids:
            if self._by_job.get(job_id) is story:
                del self._by_job[job_id]
        story.job_ids.clear()

    def _rewind(self, block: BlockNumber) -> set[_Story]:
        log.warning("jobs_rewound", extra={"block": block})
        stories = set(self._by_tx.values())
        for story in stories:
            story.forget_after(block)
            if story.job() is None:
                self._drop_jobs(story)  # its number may be another job's now
        return stories

    def _drop_unclaimed(self) -> None:
        """Requests of this key that another process, or a task that is over, had sent."""
        while len(self._unclaimed) > UNCLAIMED_KEPT:
            _, story = self._unclaimed.popitem(last=False)
            self._drop(story)
