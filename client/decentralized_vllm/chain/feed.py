"""A contract's events from a durable cursor on: nothing lost, nothing twice, re-orgs told.

Truth is getLogs over overlapping ranges, checked against block hashes; hints wake it and say
where to look.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from decentralized_vllm.chain.anchors import cursor_at, lacks
from decentralized_vllm.chain.blocks import Header, as_header, header_request, latest_header
from decentralized_vllm.chain.feed_position import FeedPosition
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.health import CheckedEndpoint
from decentralized_vllm.chain.log_decoder import RawLog, log_position
from decentralized_vllm.chain.log_reader import LogRange, LogReader
from decentralized_vllm.chain.log_source import LogSource
from decentralized_vllm.chain.rpc import Rpc, jittered_backoff_s
from decentralized_vllm.chain.store.cursors import FeedTable
from decentralized_vllm.chain.store.database import Transactions
from decentralized_vllm.protocol.errors import ChainUnavailable, WrongChain
from decentralized_vllm.protocol.events import ChainEvent, Cursor, EventBatch
from decentralized_vllm.protocol.ids import BlockNumber

log = logging.getLogger(__name__)

ANCESTOR_BATCH = 32


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """Block counts and seconds of a feed.

    confirmations: 1 acts on the latest block, 3 on the one two below it.
    overlap_blocks: read again with every new range, for logs an endpoint had not indexed yet.
    rescan_blocks, rescan_every_s: the wider second reading that finds what an endpoint left out,
        `rescan_span_blocks` at a time, so that nothing new waits for it.
    rollback_patience_s: how long a head below the cursor counts as an endpoint that lags.
    lookback_blocks: how far below the head a feed begins that has neither cursor nor start block.
    """

    confirmations: int = 1
    poll_s: float = 1.0
    max_span_blocks: int = 2000
    overlap_blocks: int = 2
    rescan_blocks: int = 100
    rescan_every_s: float = 60.0
    rescan_span_blocks: int = 10
    rollback_patience_s: float = 10.0
    lookback_blocks: int = 0


class LogFeed:
    """The ChainFeed port over RPC, hints and a database with the tables of `store.tables`.

    `name` tells feeds of one database apart. `start_block` is the first block of interest when
    there is no cursor yet; None starts at the head, less `lookback_blocks`.
    """

    def __init__(
        self,
        *,
        rpc: Rpc,
        hints: HeadHints,
        database: Transactions,
        chain: str,
        source: LogSource,
        name: str,
        start_block: BlockNumber | None = None,
        settings: FeedSettings | None = None,
    ) -> None:
        self._rpc = rpc
        self._hints = hints
        self._database = database
        self._settings = settings or FeedSettings()
        self._table = FeedTable(chain, f"{name}:{source.address}"[:60])
        self._start_block = start_block
        self._decode = source.decode
        self._reader = LogReader(source, max_span=self._settings.max_span_blocks)
        self._position: FeedPosition | None = None
        self._behind_since_s: float | None = None
        self._rescanned_at_s = time.monotonic()
        self._rescan_from: int | None = None  # while one goes on

    async def batches(self) -> AsyncIterator[EventBatch]:
        failures = 0
        while True:
            hints_seen = self._hints.count
            try:
                batch = await self._next_batch()
            except (ChainUnavailable, WrongChain) as error:
                failures += 1
                log.warning("feed_waits", extra={"reason": error.message, "failures": failures})
                await asyncio.sleep(jittered_backoff_s(0.1, failures))
                continue
            failures = 0
            if batch is not None:
                yield batch
            if batch is None or self._has_read_hinted():
                await self._hints.wait(hints_seen, self._settings.poll_s)

    async def advance(self, cursor: Cursor) -> None:
        await self._database.transaction(self.advancing(cursor))

    def advancing(self, cursor: Cursor) -> Callable[[Connection], None]:
        """`advance` as a part of the caller's own transaction, beside the effects of the batch."""
        if self._position is None:
            raise RuntimeError("advance without a batch")
        table, changes = self._table, self._position.take_changes(cursor)

        def record(tx: Connection) -> None:
            if changes.rewound_to is not None:
                table.forget_after(tx, changes.rewound_to)
            table.save(tx, cursor, changes.applied, keep_logs_from=changes.keep_from)

        return record

    async def _next_batch(self) -> EventBatch | None:
        endpoint = self._rpc.healthiest()
        position = self._position or await self._load(endpoint)
        hinted = self._hinted_target()
        if hinted > position.cursor.number and not self._is_rescan_due():
            glanced = await self._glance(endpoint, position, hinted)
            if glanced is not None:
                return glanced
        return await self._look(endpoint, position)

    def _hinted_target(self) -> int:
        """How far a hint says that one can read, 0 if there was none."""
        return (self._hints.head or 0) - (self._settings.confirmations - 1)

    def _has_read_hinted(self) -> bool:
        """All that the last hint told of was read: nothing to look for before the next one."""
        position = self._position
        is_there = position is not None and position.cursor.number == self._hinted_target()
        return is_there and not self._is_rescan_due()

    async def _glance(
        self, endpoint: CheckedEndpoint, position: FeedPosition, target: int
    ) -> EventBatch | None:
        """Reads in one trip what a hint told of. None if that is not all well."""
        at = position.cursor
        first = self._first_after(position)
        found = await self._reader.glance(endpoint, first, target, anchor=at.number)
        if found is None or found.anchor_hash != at.hash:
            return None
        return self._moved(position, found)

    async def _look(self, endpoint: CheckedEndpoint, position: FeedPosition) -> EventBatch | None:
        """Asks where the chain is first: it may lag, or have been re-organised."""
        head_answer, anchor_answer = await endpoint.batch(
            [header_request(), header_request(position.cursor.number)]
        )
        head = latest_header(head_answer)
        if head.number < position.cursor.number:
            return await self._rewind_if_patience_ends(endpoint, position, head)
        self._behind_since_s = None
        anchor = as_header(anchor_answer)
        if anchor is None:
            raise lacks(endpoint, position.cursor.number)
        if anchor.hash != position.cursor.hash:
            return await self._rewind(endpoint, position, head)
        return await self._read_on(endpoint, position, head) or await self._rescan(
            endpoint, position
        )

    async def _read_on(
        self, endpoint: CheckedEndpoint, position: FeedPosition, head: Header
    ) -> EventBatch | None:
        at = position.cursor
        target = head.number - (self._settings.confirmations - 1)
        if target <= at.number:
            return None
        first = self._first_after(position)
        found = await self._reader.read(endpoint, first, target, anchor=at.number)
        if found.anchor_hash != at.hash:
            return None  # it changed between the two readings: look again
        return self._moved(position, found)

    def _first_after(self, position: FeedPosition) -> int:
        """Where reading goes on: a little before where it ended."""
        overlap = self._settings.overlap_blocks
        if self._reader.span_blocks <= overlap:  # shrunk so far that it would not get beyond it
            overlap = 0
        return max(position.first_block, position.cursor.number + 1 - overlap)

    def _moved(self, position: FeedPosition, found: LogRange) -> EventBatch:
        events = self._fresh(position, found.logs)
        position.move_to(Cursor(found.last.number, found.last.hash))
        return EventBatch(events, position.cursor, time_s=found.last.timestamp_s)

    async def _rescan(self, endpoint: CheckedEndpoint, position: FeedPosition) -> EventBatch | None:
        """The second reader: logs that an endpoint left out when their range was read."""
        at, first = position.cursor, self._next_rescanned(position)
        if first is None:
            return None
        last = min(at.number, first + self._settings.rescan_span_blocks - 1)
        found = await self._reader.read(endpoint, first, last, anchor=at.number)
        if found.anchor_hash != at.hash:
            return None
        self._rescan_from = found.last.number + 1
        late = self._fresh(position, found.logs)
        if not late:
            return None
        log.warning("late_events", extra={"count": len(late), "block": at.number})
        return EventBatch(events=late, cursor=at)

    def _is_rescan_due(self) -> bool:
        waited_s = time.monotonic() - self._rescanned_at_s
        return self._rescan_from is not None or waited_s >= self._settings.rescan_every_s

    def _next_rescanned(self, position: FeedPosition) -> int | None:
        """Where the second reading goes on, or begins if it is time for it."""
        head = position.cursor.number
        if not self._is_rescan_due():
            return None
        if self._rescan_from is None:
            self._rescan_from = head - self._settings.rescan_blocks
        first = max(position.first_block, self._rescan_from)
        if first <= head:
            return first
        self._rescan_from, self._rescanned_at_s = None, time.monotonic()
        return None

    def _fresh(self, position: FeedPosition, logs: Sequence[RawLog]) -> tuple[ChainEvent, ...]:
        """Decodes what was not delivered yet, and counts it as delivered."""
        events = [self._decode(entry) for entry in logs if position.note(log_position(entry))]
        return tuple(event for event in events if event is not None)

    async def _rewind_if_patience_ends(
        self, endpoint: CheckedEndpoint, position: FeedPosition, head: Header
    ) -> EventBatch | None:
        """A head below the cursor: an endpoint that lags, or a chain that was rolled back."""
        endpoint.note_lag(head.number)  # if another endpoint is not behind, it settles the matter
        now_s = time.monotonic()
        if self._behind_since_s is None:
            self._behind_since_s = now_s
        if now_s - self._behind_since_s < self._settings.rollback_patience_s:
            return None
        return await self._rewind(endpoint, position, head)

    async def _rewind(
        self, endpoint: CheckedEndpoint, position: FeedPosition, head: Header
    ) -> EventBatch:
        await endpoint.confirm_chain()  # else all that was ever told would be taken back
        ancestor = await self._common_ancestor(endpoint, position, head)
        log.warning(
            "chain_reorganised", extra={"from": position.cursor.number, "to": ancestor.number}
        )
        self._behind_since_s = None
        position.rewind_to(ancestor)
        return EventBatch(events=(), cursor=ancestor, rewound_to=ancestor.number)

    async def _common_ancestor(
        self, endpoint: CheckedEndpoint, position: FeedPosition, head: Header
    ) -> Cursor:
        candidates = [c for c in reversed(position.history) if c.number <= head.number]
        for start in range(0, len(candidates), ANCESTOR_BATCH):
            some = candidates[start : start + ANCESTOR_BATCH]
            answers = await endpoint.batch([header_request(c.number) for c in some])
            for candidate, answer in zip(some, answers, strict=True):
                header = as_header(answer)
                if header is not None and header.hash == candidate.hash:
                    return candidate
        below = max(0, min(position.first_block, head.number) - 1)
        return await cursor_at(endpoint, below)

    async def _load(self, endpoint: CheckedEndpoint) -> FeedPosition:
        rows = await self._database.transaction(self._table.load)
        position = FeedPosition(
            rows.history or (await self._first_cursor(endpoint),),
            rows.applied,
            window_blocks=self._settings.rescan_blocks + self._settings.overlap_blocks,
        )
        if not rows.history:  # durable at once: a crash before the first batch must not skip it
            await self._database.transaction(
                lambda tx: self._table.save(tx, position.cursor, (), keep_logs_from=0)
            )
        self._position = position
        return position

    async def _first_cursor(self, endpoint: CheckedEndpoint) -> Cursor:
        if self._start_block is not None:
            return await cursor_at(endpoint, max(0, self._start_block - 1))
        head = latest_header((await endpoint.batch([header_request()]))[0])
        if lookback := self._settings.lookback_blocks:
            return await cursor_at(endpoint, max(0, head.number - lookback))
        return Cursor(head.number, head.hash)
