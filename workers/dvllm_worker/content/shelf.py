"""Answers by content address: in this node's own store, and wherever others read them."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from decentralized_vllm.content.dag_builder import FileBuilder
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import ContentMismatch, ContentUnavailable, SettingError
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.recording import Block
from dvllm_worker.content.writing import TreeWriter
from dvllm_worker.outages import MIRROR, Outages
from dvllm_worker.pipeline.results import ShelvedAnswer

RETRY_S = 1.0
OUT_AFTER_S = 5.0  # a mirror that is only restarted costs no pause


class Mirror(Protocol):
    """A store beside the own one, such as a Kubo that others reach."""

    async def add_bytes(self, data: bytes) -> Cid: ...


class LocalShelf:
    """Keeps answers in the own store, which the listener serves, and copies them to `mirrors`.

    Answer and prompt are pinned by the moment the answer is published.
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

    def shelve(self, document: bytes) -> ShelvedAnswer:
        blocks: list[Block] = []
        builder = FileBuilder(
            self._own.profile, lambda cid, block: blocks.append((cid, bytes(block)))
        )
        builder.feed(document)
        cid = builder.finish().cid.text()
        in_store = self._writer.add_tree(cid, blocks)
        in_store.add_done_callback(_look_at)
        return ShelvedAnswer(cid, document, in_store)

    async def found(self, cid: Cid) -> ShelvedAnswer:
        document = await self._own.read_bytes(cid, max_bytes=MAX_RESPONSE_BYTES)
        in_store: asyncio.Future[Cid] = asyncio.get_running_loop().create_future()
        in_store.set_result(cid)
        return ShelvedAnswer(cid, document, in_store)

    async def publish(self, answer: ShelvedAnswer, *, prompt_cid: Cid) -> None:
        await answer.in_store
        await self._own.pin(prompt_cid)
        for mirror in self._mirrors:
            copied = await self._copied(mirror, answer.document)
            if copied != answer.cid:
                raise ContentMismatch(f"a mirror filed the answer {answer.cid} as {copied}")

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


def _look_at(in_store: asyncio.Future[Cid]) -> None:
    """Whoever publishes the answer is told what went wrong; a lost lease has nobody to be told."""
    if not in_store.cancelled():
        in_store.exception()
