"""Signed documents of answers: where they are read, and for a while kept when they are rich."""

from collections import OrderedDict

from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.responses import RequestIdentity, ResponseDocument
from decentralized_vllm.requester.answers import ReadsFiles, read_again, read_answer
from decentralized_vllm.requester.node_sources import NodeSources

RICH_KEPT = 64


class Documents:
    """One with more than its text is asked for again as soon as the text is told."""

    def __init__(self, nodes: NodeSources, store: ReadsFiles, *, kept: int = RICH_KEPT) -> None:
        self._nodes = nodes
        self._store = store
        self._n_kept = kept
        self._kept: OrderedDict[Cid, ResponseDocument] = OrderedDict()

    async def read(self, cid: Cid, request: RequestIdentity, node: Address) -> ResponseDocument:
        """Held against the chain. Raises ContentUnavailable, InvalidResponse, InvalidReceipt."""
        document = await read_answer(await self._sources(node), cid, request, node)
        if document.logprobs is not None:
            self._keep(cid, document)
        return document

    async def again(self, cid: Cid, node: Address) -> ResponseDocument:
        """What was read before, so that its CID vouches for it. Raises ContentUnavailable."""
        if cid in self._kept:
            return self._kept[cid]
        return await read_again(await self._sources(node), cid)

    async def _sources(self, node: Address) -> list[ReadsFiles]:
        at_node = await self._nodes.store_of(node)
        return [self._store] if at_node is None else [at_node, self._store]

    def _keep(self, cid: Cid, document: ResponseDocument) -> None:
        self._kept[cid] = document
        while len(self._kept) > self._n_kept:
            self._kept.popitem(last=False)
