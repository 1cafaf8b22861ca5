"""Hands prompts to the nodes that hold the jobs: at once to those that need them handed over."""

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom
from weakref import WeakValueDictionary

from decentralized_vllm.content.car import encode_file
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.requester.node_door import NodeDoor
from decentralized_vllm.requester.node_sources import NodeSources
from decentralized_vllm.requester.offers import offer_blocks
from dvllm_gateway.market.placement import Placement
from dvllm_gateway.services.task_jobs import Job, JobWatch, Lease
from dvllm_gateway.services.task_market import Order

OFFERS_AT_ONCE = 8
IN_CASE_AFTER_S = 2.0
SPREAD_S = 1.0  # those of one block come apart, and not just when another block comes

Car = Callable[[], Awaitable[bytes]]


class PromptOffers:
    """Few at once to each node, so that a block's offers leave room for those who ask meanwhile.

    A node that had found the last prompt by itself gets the next one only if it still works on
    the job a little later: to hand over what nobody needs costs both sides the time of a request,
    just when all jobs of a block begin. What is not in the store yet is handed over at once.
    """

    def __init__(
        self, nodes: NodeSources, door: NodeDoor, *, in_case_after_s: float = IN_CASE_AFTER_S
    ) -> None:
        self._nodes = nodes
        self._door = door
        self._in_case_after_s = in_case_after_s
        self._random = SystemRandom()
        self._finders: set[Address] = set()
        # Held by whoever uses one; the others vanish.
        self._places: WeakValueDictionary[Address, asyncio.Semaphore] = WeakValueDictionary()

    async def follow(self, order: Order, watch: JobWatch, placement: Placement) -> None:
        """Until cancelled."""
        made = encode_file(order.document)  # while the block is waited for

        async def car() -> bytes:
            return made

        offered: Lease | None = None
        while True:
            seen, lease = watch.value, _lease_in(watch)
            if lease is not None and lease != offered:
                offered = lease
                await self._offer(lease, watch, car, is_in_case=placement.is_there)
            await watch.after(seen)

    async def _offer(self, lease: Lease, watch: JobWatch, car: Car, *, is_in_case: bool) -> None:
        job_id, node, _ = lease
        if is_in_case and node in self._finders and await self._ends_soon(lease, watch):
            return
        async with self._places.setdefault(node, asyncio.Semaphore(OFFERS_AT_ONCE)):
            if _lease_in(watch) == lease:  # or else it has been answered meanwhile
                self._learn(node, await offer_blocks(self._nodes, self._door, job_id, node, car))

    async def _ends_soon(self, lease: Lease, watch: JobWatch) -> bool:
        patience_s = self._in_case_after_s + self._random.uniform(0, SPREAD_S)
        try:
            async with asyncio.timeout(patience_s):
                await watch.until(lambda _: _lease_in(watch) != lease)
        except TimeoutError:
            return False
        return True

    def _learn(self, node: Address, n_taken: int | None) -> None:
        if n_taken == 0:
            self._finders.add(node)
        elif n_taken is not None:
            self._finders.discard(node)


def _lease_in(watch: JobWatch) -> Lease | None:
    job = watch.value
    return job.lease if isinstance(job, Job) else None
