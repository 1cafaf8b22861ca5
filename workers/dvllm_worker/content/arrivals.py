"""Wakes whoever waits for a prompt that its requester has just handed to this node."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from decentralized_vllm.protocol.ids import Cid


class Arrivals:
    def __init__(self) -> None:
        self._waiting: dict[Cid, list[asyncio.Event]] = {}

    def tell(self, cid: Cid) -> None:
        """The whole tree below `cid` is in the node's own store now."""
        for event in self._waiting.get(cid, ()):
            event.set()

    @contextmanager
    def expecting(self, cid: Cid) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.setdefault(cid, []).append(event)
        try:
            yield event
        finally:
            self._waiting[cid].remove(event)
            if not self._waiting[cid]:
                del self._waiting[cid]
