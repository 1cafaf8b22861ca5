"""Finds a prompt's bytes: in the own store, from its requester, or from whoever else has it."""

import asyncio

from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import ContentMismatch, ContentUnavailable
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.arrivals import Arrivals

RETRY_S = 1.0


class PromptReader:
    """`own` is this node's store, `sources` the whole list that reads go through, own first.

    Gateways are asked and the requester is waited for at the same time: what comes first wins.
    """

    def __init__(self, own: ContentReads, sources: ContentReads, arrivals: Arrivals) -> None:
        self._own = own
        self._sources = sources
        self._arrivals = arrivals

    async def read_prompt(self, cid: Cid, *, max_bytes: int, timeout_s: float) -> bytes:
        """Raises ContentUnavailable, ContentMismatch (only lying sources) and InvalidCid."""
        with self._arrivals.expecting(cid) as arrival:
            try:
                return await self._own.read_bytes(cid, max_bytes=max_bytes)
            except (ContentUnavailable, ContentMismatch):
                return await self._from_anywhere(cid, arrival, max_bytes, timeout_s)

    async def _from_anywhere(
        self, cid: Cid, arrival: asyncio.Event, max_bytes: int, timeout_s: float
    ) -> bytes:
        remote = asyncio.create_task(self._from_sources(cid, max_bytes))
        offered = asyncio.create_task(self._from_requester(cid, arrival, max_bytes))
        try:
            done, _ = await asyncio.wait(
                (remote, offered), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise ContentUnavailable(f"nobody had {cid} within {timeout_s:.0f} s")
            return done.pop().result()
        finally:
            for task in (remote, offered):
                task.cancel()
            await asyncio.gather(remote, offered, return_exceptions=True)

    async def _from_requester(self, cid: Cid, arrival: asyncio.Event, max_bytes: int) -> bytes:
        await arrival.wait()
        return await self._own.read_bytes(cid, max_bytes=max_bytes)

    async def _from_sources(self, cid: Cid, max_bytes: int) -> bytes:
        """A source may get the prompt a moment after the lease: asked again until time is up."""
        while True:
            try:
                return await self._sources.read_bytes(cid, max_bytes=max_bytes)
            except (ContentUnavailable, ContentMismatch):
                await asyncio.sleep(RETRY_S)
