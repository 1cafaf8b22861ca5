"""How submissions would go now: asked once for those that differ in nothing the chain looks at."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.transactions import Call
from dvllm_gateway.services.task_market import Order

FRESH_S = 2.0  # about a block: what changes in it can change after a simulation, too


class Simulates(Protocol):
    async def simulate(self, call: Call) -> Simulation: ...


@dataclass(frozen=True, slots=True)
class _Known:
    simulation: Simulation
    at_s: float


class Simulations:
    """The credit a submission takes is the till's to see to, and no part of this.

    What reverts all the same is told by its receipt, as it is when the chain changes between a
    simulation and the block: it costs the gateway gas, and nobody else anything.
    """

    def __init__(self, sender: Simulates, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._sender = sender
        self._clock_s = clock_s
        self._known: dict[Hashable, _Known] = {}

    async def of(self, order: Order, call: Call) -> Simulation | None:
        """None if it fails now: with credit that is still to be filled up it may not."""
        known = self.known(order)
        if known is not None:
            return known
        self._drop_old()
        try:
            simulation = await self._sender.simulate(call)
        except DvllmError:
            return None
        self._known[_kind(order)] = _Known(simulation, self._clock_s())
        return simulation

    def known(self, order: Order) -> Simulation | None:
        """Of one of its kind, a moment ago."""
        known = self._known.get(_kind(order))
        is_fresh = known is not None and self._clock_s() < known.at_s + FRESH_S
        return known.simulation if known is not None and is_fresh else None

    def forget(self, order: Order) -> None:
        """One of its kind was refused."""
        self._known.pop(_kind(order), None)

    def _drop_old(self) -> None:
        too_old_s = self._clock_s() - FRESH_S
        self._known = {kind: known for kind, known in self._known.items() if known.at_s > too_old_s}


def _kind(order: Order) -> Hashable:
    return order.model_id, order.node, order.share, len(order.prompt_cid)
