"""What a node does now and then: mature its earnings, drop what nobody needs any more."""

import logging
import time
from collections.abc import Callable, Sequence

from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import Clock
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.onchain import Desk
from dvllm_worker.pipeline.rows import JobRow

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


class Retention:
    """Keeps prompts and answers while they may be challenged, and for `keep_s` beyond."""

    def __init__(
        self,
        store: PinningStore,
        rows: Callable[[], Sequence[JobRow]],
        *,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._rows = rows
        self._keep_s = keep_s
        self._clock = clock

    async def run(self, sleeper: Clock) -> None:
        while True:
            await sleeper.sleep_s(CLEAN_EVERY_S)
            try:
                await self.clean()
            except DvllmError as error:
                log.warning("old content is not dropped now: %s", error)

    async def clean(self) -> None:
        pinned = set(await self._store.pins())
        for cid in sorted(outdated_cids(self._rows(), self._clock() - self._keep_s) & pinned):
            await self._store.unpin(cid)
        n_blocks = await self._store.collect_garbage()
        if n_blocks:
            log.info("%d blocks of old jobs dropped", n_blocks)


def outdated_cids(rows: Sequence[JobRow], before_s: float) -> set[Cid]:
    """What only jobs that closed before `before_s` refer to; pure."""
    old: set[Cid] = set()
    needed: set[Cid] = set()
    for row in rows:
        cids = {row.request.prompt_cid} | ({row.response_cid} if row.response_cid else set())
        (old if row.updated_s < before_s else needed).update(cids)
    return old - needed
