"""Finds a prompt's bytes: in the own store, from its requester, or from whoever else has it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from decentralized_vllm.content.http_client import Unanswered
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import Absent
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import ContentMismatch, ContentUnavailable, RetryableError
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.arrivals import Arrivals
from dvllm_worker.content.recording import Block, RecordingReads
from dvllm_worker.content.writing import TreeWriter
from dvllm_worker.outages import GATEWAYS, Outages, Probe
from dvllm_worker.pipeline.failures import OutOfReach

RETRY_S = 1.0


@dataclass(slots=True)
class Look:
    """What the sources said when all of them were asked for one prompt the last time."""

    failure: RetryableError | ContentMismatch | None = None

    @property
    def is_absent(self) -> bool:
        """Somebody who was asked answered that it does not have it."""
        return isinstance(self.failure, Absent)

    @property
    def is_endless(self) -> bool:
        """Somebody took the question; if it works at all, it found nothing in its network."""
        return isinstance(self.failure, Unanswered)


@dataclass(frozen=True, slots=True)
class PromptReader:
    """`own` is this node's store, `others` are asked for what it does not have."""

    own: PinningStore
    writer: TreeWriter
    others: Sequence[ContentReads]
    gateways_answer: Probe
    arrivals: Arrivals
    outages: Outages

    @asynccontextmanager
    async def searching(self, cid: Cid, *, max_bytes: int) -> AsyncIterator["Search"]:
        search = Search(self, cid, max_bytes)
        try:
            yield search
        finally:
            await search.end()


class Search:
    """Looks for one prompt from the moment it is made.

    Sources are asked and the requester is waited for at the same time: what comes first wins.
    What came from afar is kept when the answer is: both go to the disk together.
    A prompt is missing by the word of a gateway, never for want of one that answers.
    """

    def __init__(self, reader: PromptReader, cid: Cid, max_bytes: int) -> None:
        self._reader = reader
        self._cid = cid
        self._max_bytes = max_bytes
        self._look = Look()
        self._to_keep: Sequence[Block] = ()
        self._keeping: asyncio.Future[Cid] | None = None
        self._tasks = (
            asyncio.create_task(self._from_sources()),
            asyncio.create_task(self._from_requester()),
        )

    async def found(self, *, timeout_s: float, longest_s: float) -> bytes:
        """Raises ContentUnavailable, OutOfReach, InvalidCid, and the ContentErrors of the file."""
        began_s = asyncio.get_running_loop().time()
        for wait_s in (timeout_s, longest_s):
            left_s = began_s + wait_s - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(
                self._tasks, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                self._stop()
                return done.pop().result()
            if await self._is_missing():
                raise ContentUnavailable(f"nobody had {self._cid} within {wait_s:.0f} s")
        raise OutOfReach(f"{GATEWAYS}: nobody could be asked for {self._cid}")

    def keep(self) -> None:
        """Begins to put what was found into this node's store."""
        if self._to_keep and self._keeping is None:
            self._keeping = self._reader.writer.add_tree(self._cid, self._to_keep)

    async def kept(self) -> None:
        """Returns when what was found is in this node's store. Raises StorageFull."""
        self.keep()
        if self._keeping is not None:
            await self._keeping

    async def end(self) -> None:
        self._stop()
        under_way = [task for task in (*self._tasks, self._keeping) if task is not None]
        await asyncio.gather(*under_way, return_exceptions=True)

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _is_missing(self) -> bool:
        """By somebody's word, or by a look without an end where gateways do work."""
        if self._look.is_absent:
            return True
        if await self._reader.gateways_answer():
            return self._look.is_endless
        failure = self._look.failure
        reason = failure.message if failure else "the first look is not over"
        self._reader.outages.report(GATEWAYS, "none of them answers", reason=reason)
        return False

    async def _from_requester(self) -> bytes:
        with self._reader.arrivals.expecting(self._cid) as arrival:
            await arrival.wait()
        return await self._reader.own.read_bytes(self._cid, max_bytes=self._max_bytes)

    async def _from_sources(self) -> bytes:
        """A source may get the prompt a moment after the lease: asked again until time is up."""
        while True:
            reads = RecordingReads(self._reader.own, self._reader.others)
            try:
                data = await reads.read_bytes(self._cid, max_bytes=self._max_bytes)
            except (RetryableError, ContentMismatch) as error:
                self._look.failure = error
                await asyncio.sleep(RETRY_S)
                continue
            self._to_keep = reads.to_keep
            return data
