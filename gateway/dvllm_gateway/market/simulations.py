"""How submissions would go now: asked once for those that differ in nothing the chain looks at."""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.transactions import Call
from dvllm_gateway.services.task_market import Order

FRESH_S = 2.0  # about a block: what changes in it can change after a simulation, too
RENEWED_AFTER_S = 1.0  # where more of its kind come, so that none of them has to wait for it


class Simulates(Protocol):
    async def simulate(self, call: Call) -> Simulation: ...


@dataclass(frozen=True, slots=True)
class _Known:
    simulation: Simulation
    call: Call
    at_s: float


class Simulations:
    """`run` must run: it asks again in time while more of a kind come.

    The credit a submission takes is the till's to see to, and no part of this.

    What reverts all the same is told by its receipt, as it is when the chain changes between a
    simulation and the block: it costs the gateway gas, and nobody else anything.
    """

    def __init__(self, sender: Simulates, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._sender = sender
        self._clock_s = clock_s
        self._known: dict[Hashable, _Known] = {}
        self._due: set[Hashable] = set()
        self._is_due = asyncio.Event()

    async def of(self, order: Order, call: Call) -> Simulation | None:
        """None if it fails now: with credit that is still to be filled up it may not."""
        known = self.known(order)
        if known is not None:
            return known
        self._drop_old()
        return await self._made(_kind(order), call)

    def known(self, order: Order) -> Simulation | None:
        """Of one of its kind, a moment ago."""
        kind = _kind(order)
        known = self._known.get(kind)
        if known is None:
            return None
        age_s = self._clock_s() - known.at_s
        if age_s >= FRESH_S:
            return None
        if age_s >= RENEWED_AFTER_S:
            self._due.add(kind)
            self._is_due.set()
        return known.simulation

    def forget(self, order: Order) -> None:
        """One of its kind was refused."""
        self._known.pop(_kind(order), None)

    async def run(self) -> None:
        """Until cancelled. What fails is not known any more when it is too old."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            for kind in tuple(self._due):
                if kind in self._known:
                    await self._made(kind, self._known[kind].call)
                self._due.discard(kind)

    async def _made(self, kind: Hashable, call: Call) -> Simulation | None:
        try:
            simulation = await self._sender.simulate(call)
        except DvllmError:
            return None
        self._known[kind] = _Known(simulation, call, self._clock_s())
        return simulation

    def _drop_old(self) -> None:
        too_old_s = self._clock_s() - FRESH_S
        self._known = {kind: known for kind, known in self._known.items() if known.at_s > too_old_s}


def _kind(order: Order) -> Hashable:
    return order.model_id, order.node, order.share, len(order.prompt_cid)
