"""Signed documents of answers: where they are read, and for a while kept when they are rich."""

from collections import OrderedDict
from functools import partial
from typing import Protocol

from decentralized_vllm.content.cid import is_block_of
from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.responses import RequestIdentity, ResponseDocument
from decentralized_vllm.requester.answers import (
    LONG_BYTES,
    ReadsFiles,
    checked_answer,
    read_again,
    read_answer,
    verified_answer,
)
from dvllm_gateway.services.own_time import working
from dvllm_gateway.services.slices import Slices

MAX_KEPT_BYTES = 64 << 20  # in memory, as `_weight` guesses it: nodes decide how long these are


class FindsNodes(Protocol):
    async def store_of(self, node: Address) -> ReadsFiles | None: ...


class Documents:
    """One with more than its text is asked for again as soon as the text is told."""

    def __init__(
        self, nodes: FindsNodes, store: ReadsFiles, *, max_kept_bytes: int = MAX_KEPT_BYTES
    ) -> None:
        self._nodes = nodes
        self._store = store
        self._room = max_kept_bytes
        self._kept: OrderedDict[Cid, ResponseDocument] = OrderedDict()
        self._slices = Slices()

    async def read(
        self, cid: Cid, request: RequestIdentity, node: Address, *, told: bytes | None = None
    ) -> ResponseDocument:
        """Held against the chain; what was `told` is taken if it is what the CID names.

        Raises ContentUnavailable, InvalidResponse, InvalidReceipt.
        """
        if told is not None and is_block_of(cid, told):
            document = await self._checked(told, request, node)
        else:
            document = await read_answer(await self._sources(node), cid, request, node)
        if document.logprobs is not None or document.tool_calls:
            self._keep(cid, document)
        return document

    async def _checked(
        self, told: bytes, request: RequestIdentity, node: Address
    ) -> ResponseDocument:
        """A block's answers come at once, and each takes some tenths of a millisecond."""
        with working():  # for its turn it waits because of the gateway alone
            if len(told) > LONG_BYTES:
                return await checked_answer(told, request, node)
            return await self._slices.run(partial(verified_answer, told, request, node))

    async def again(self, cid: Cid, node: Address) -> ResponseDocument:
        """What was read before, so that its CID vouches for it. Raises ContentUnavailable."""
        if cid in self._kept:
            return self._kept[cid]
        return await read_again(await self._sources(node), cid)

    async def _sources(self, node: Address) -> list[ReadsFiles]:
        at_node = await self._nodes.store_of(node)
        return [self._store] if at_node is None else [at_node, self._store]

    def _keep(self, cid: Cid, document: ResponseDocument) -> None:
        if cid in self._kept:
            return
        self._kept[cid] = document
        self._room -= _weight(document)
        while self._room < 0:
            _, oldest = self._kept.popitem(last=False)
            self._room += _weight(oldest)


def _weight(document: ResponseDocument) -> int:
    n_rated = len(document.logprobs or ()) + len(document.prompt_logprobs or ())
    n_texts = len(document.text) + sum(len(call.arguments) for call in document.tool_calls)
    return n_texts + 32 * len(document.token_ids) + 2048 * n_rated
