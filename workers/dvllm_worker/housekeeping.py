"""What a node does now and then: mature its earnings, drop what nobody needs any more."""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import DvllmError, InvalidCid
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import Clock
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.onchain import Desk

log = logging.getLogger(__name__)

CLEAN_EVERY_S = 3600.0


class Earnings:
    """Anyone may settle a node's earnings; a node that does it itself is paid in time."""

    def __init__(self, desk: Desk, clock: Clock) -> None:
        self._desk = desk
        self._clock = clock

    async def run(self, *, every_s: float) -> None:
        while True:
            await self._clock.sleep_s(every_s)
            try:
                await self.settle()
            except DvllmError as error:
                log.warning("earnings are not settled now: %s", error)

    async def settle(self) -> None:
        """Sends nothing while nothing is pending."""
        pending_wei = (await self._desk.node()).pending_earnings_wei
        if pending_wei == 0:
            return
        await self._desk.do(self._desk.network.node_calls.settle(self._desk.address))
        left_wei = (await self._desk.node()).pending_earnings_wei
        log.info("earnings matured: %s", format_tokens(pending_wei - left_wei))


class Records(Protocol):
    async def needed_cids(self, since_s: float) -> set[Cid]:
        """As the chain names prompts and answers of jobs that are open, or were since then."""


class Retention:
    """Keeps prompts and answers while they may be challenged, and for `keep_s` beyond.

    What no such job names goes at the second look: an answer is pinned a moment before its job
    names it. Prompts may be handed over for jobs that never become ours: nothing else names them.
    """

    def __init__(
        self,
        store: PinningStore,
        records: Records,
        *,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._records = records
        self._keep_s = keep_s
        self._clock = clock
        self._idle: set[Cid] = set()  # at the last look

    async def run(self, sleeper: Clock) -> None:
        while True:
            await sleeper.sleep_s(CLEAN_EVERY_S)
            try:
                await self.clean()
            except DvllmError as error:
                log.warning("old content is not dropped now: %s", error)

    async def clean(self) -> None:
        pinned = set(await self._store.pins())  # first: what is pinned later may be needed
        idle = pinned - await self._needed()
        dropped, self._idle = idle & self._idle, idle
        for cid in sorted(dropped):
            await self._store.unpin(cid)
        # A new job may have named one since the records were asked, also one pinned for it.
        for cid in sorted(dropped & await self._needed()):
            await self._store.pin(cid)
        n_blocks = len(await self._store.collect_garbage())
        if n_blocks:
            log.info("%d blocks of old jobs dropped", n_blocks)

    async def _needed(self) -> set[Cid]:
        return as_pinned(await self._records.needed_cids(self._clock() - self._keep_s))


def as_pinned(cids: Iterable[Cid]) -> set[Cid]:
    """As the store writes them. Requesters may use another base, or what is no CID at all."""
    texts: set[Cid] = set()
    for cid in cids:
        with suppress(InvalidCid):
            texts.add(parse_cid(cid).text())
    return texts
