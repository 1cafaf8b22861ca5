"""Finds a prompt's bytes: in the own store, from its requester, or from whoever else has it."""

import asyncio
from dataclasses import dataclass

from decentralized_vllm.content.http_client import Unanswered
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.sources import Absent
from decentralized_vllm.protocol.errors import ContentMismatch, ContentUnavailable, RetryableError
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.arrivals import Arrivals
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


class PromptReader:
    """`own` is this node's store, `sources` the whole list that reads go through, own first.

    Gateways are asked and the requester is waited for at the same time: what comes first wins.
    A prompt is missing by the word of a gateway, never for want of one that answers.
    """

    def __init__(
        self,
        own: ContentReads,
        sources: ContentReads,
        gateways_answer: Probe,
        arrivals: Arrivals,
        outages: Outages,
    ) -> None:
        self._own = own
        self._sources = sources
        self._gateways_answer = gateways_answer
        self._arrivals = arrivals
        self._outages = outages

    async def read_prompt(
        self, cid: Cid, *, max_bytes: int, timeout_s: float, longest_s: float
    ) -> bytes:
        """Raises ContentUnavailable, OutOfReach, InvalidCid, and the ContentErrors of the file."""
        with self._arrivals.expecting(cid) as arrival:
            try:
                return await self._own.read_bytes(cid, max_bytes=max_bytes)
            except (RetryableError, ContentMismatch):
                look = Look()
                remote = self._from_sources(cid, max_bytes, look)
                offered = self._from_requester(cid, arrival, max_bytes)
                tasks = (asyncio.create_task(remote), asyncio.create_task(offered))
                try:
                    return await self._first_of(tasks, look, cid, (timeout_s, longest_s))
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)

    async def _first_of(
        self,
        tasks: tuple[asyncio.Task[bytes], ...],
        look: Look,
        cid: Cid,
        waits_s: tuple[float, float],
    ) -> bytes:
        began_s = asyncio.get_running_loop().time()
        for wait_s in waits_s:
            left_s = began_s + wait_s - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait(
                tasks, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return done.pop().result()
            if await self._is_missing(look):
                raise ContentUnavailable(f"nobody had {cid} within {wait_s:.0f} s")
        raise OutOfReach(f"{GATEWAYS}: nobody could be asked for {cid}")

    async def _is_missing(self, look: Look) -> bool:
        """By somebody's word, or by a look without an end where gateways do work."""
        if look.is_absent:
            return True
        if await self._gateways_answer():
            return look.is_endless
        reason = look.failure.message if look.failure else "the first look is not over"
        self._outages.report(GATEWAYS, "none of them answers", reason=reason)
        return False

    async def _from_requester(self, cid: Cid, arrival: asyncio.Event, max_bytes: int) -> bytes:
        await arrival.wait()
        return await self._own.read_bytes(cid, max_bytes=max_bytes)

    async def _from_sources(self, cid: Cid, max_bytes: int, look: Look) -> bytes:
        """A source may get the prompt a moment after the lease: asked again until time is up."""
        while True:
            try:
                return await self._sources.read_bytes(cid, max_bytes=max_bytes)
            except (RetryableError, ContentMismatch) as error:
                look.failure = error
            await asyncio.sleep(RETRY_S)
