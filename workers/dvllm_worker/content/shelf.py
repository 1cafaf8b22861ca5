"""Answers by content address: durable on this disk first, then readable by others."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import ContentMismatch, ContentUnavailable, SettingError
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.writing import TreeWriter
from dvllm_worker.outages import MIRROR, Outages

ANSWERS_AT_HAND = 64
RETRY_S = 1.0
OUT_AFTER_S = 5.0  # a mirror that is only restarted costs no pause


class Mirror(Protocol):
    """A store beside the own one, such as a Kubo that others reach."""

    async def add_bytes(self, data: bytes) -> Cid: ...


class LocalShelf:
    """Keeps answers in the own store, which the listener serves, and copies them to `mirrors`.

    An answer is pinned from the moment it exists; its prompt by the moment it is published.
    """

    def __init__(
        self,
        own: PinningStore,
        writer: TreeWriter,
        mirrors: Sequence[Mirror],
        outages: Outages,
    ) -> None:
        self._own = own
        self._writer = writer
        self._mirrors = mirrors
        self._outages = outages
        self._to_mirror: dict[Cid, bytes] = {}  # kept by this process, and about to be published

    async def keep(self, data: bytes) -> Cid:
        cid = await self._writer.add_bytes(data)
        if self._mirrors:
            self._to_mirror[cid] = data
            if len(self._to_mirror) > ANSWERS_AT_HAND:  # lost leases are never published
                del self._to_mirror[next(iter(self._to_mirror))]
        return cid

    async def publish(self, cid: Cid, *, prompt_cid: Cid) -> None:
        await self._own.pin(prompt_cid)
        if not self._mirrors:
            return
        data = self._to_mirror.pop(cid, None)
        if data is None:
            data = await self._own.read_bytes(cid, max_bytes=MAX_RESPONSE_BYTES)
        for mirror in self._mirrors:
            copied = await self._copied(mirror, data)
            if copied != cid:
                raise ContentMismatch(f"a mirror filed the answer {cid} as {copied}")

    async def _copied(self, mirror: Mirror, data: bytes) -> Cid:
        """Tries until it is done: who waits for it knows how long the lease is."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            try:
                return await mirror.add_bytes(data)
            except (ContentUnavailable, SettingError) as error:
                if loop.time() - began_s >= OUT_AFTER_S:
                    self._outages.report(MIRROR, "it does not answer", reason=error.message)
            await asyncio.sleep(RETRY_S)
