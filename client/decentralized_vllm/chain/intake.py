"""From calls to stored and broadcast transactions: those that come together go together.

simulate → store → offer. One request, one commit, one broadcast for a group, however many are in
it; and a group is simulated while the one before it is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from decentralized_vllm.chain.confirmation import View
from decentralized_vllm.chain.confirmer import SenderSettings
from decentralized_vllm.chain.outbox import Outbox
from decentralized_vllm.chain.outgoing import Outgoing
from decentralized_vllm.chain.preparation import Simulation, gas_limit, simulated_gas
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.store.database import Along
from decentralized_vllm.chain.submission import Draft, Submission
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import DvllmError, InsufficientGas, TransactionFailed
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import format_tokens

OFFERS_AT_ONCE = 4  # what comes next is on its way while the chain's node is busy with a block


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller wants sent, under a key that is its alone.

    `simulation` was just made; None if none was. `along` is stored with it, or neither is.
    """

    call: Call
    key: str
    deadline_s: float | None
    simulation: Simulation | None = None
    along: Along | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A transaction that is durable. `asked` when the endpoints are asked to take it, `offered`
    when they have answered; both are cancelled when this process stops sending before that."""

    outgoing: Outgoing
    asked: asyncio.Future[None]
    offered: asyncio.Future[Outgoing]


@dataclass(frozen=True, slots=True)
class _Stored:
    """`view` is how the chain looked when it was signed; `asked` as a Sending tells it."""

    outgoing: Outgoing
    view: View
    asked: asyncio.Future[None]


class Intake:
    """`accept(order)` waits while as many are unmined as may be; call `nudge` when some are mined.

    `recent_view` looks at the chain unless it has just been looked at.
    """

    def __init__(
        self,
        rpc: Rpc,
        sender: Address,
        outbox: Outbox,
        submission: Submission,
        settings: SenderSettings,
        recent_view: Callable[[], Awaitable[View]],
    ) -> None:
        self._rpc = rpc
        self._sender = sender
        self._outbox = outbox
        self._submission = submission
        self._settings = settings
        self._recent_view = recent_view
        self._simulations = Grouped(self._simulated, room=self._room)
        self._orders = Grouped(self._stored, room=self._room)
        self._offers = Grouped(self._offered, at_once=OFFERS_AT_ONCE)

    @property
    def has_room(self) -> bool:
        return self._room() > 0

    async def simulate(self, call: Call) -> Simulation:
        """At the latest block. Raises what the call reverts with."""
        return await self._simulations(call)

    async def accept(self, order: Order) -> Sending:
        """Returns when it is durable. Raises what the simulation and `along` raise,
        InsufficientGas, TransactionFailed, StorageFull."""
        while order.simulation is None or not self.has_room:  # it ages while room is waited for
            order = replace(order, simulation=await self.simulate(order.call))
        stored = await self._orders(order)
        offered = self._offers.add(stored)
        offered.add_done_callback(lambda _: stored.asked.cancel())
        return Sending(stored.outgoing, stored.asked, offered)

    def nudge(self) -> None:
        self._simulations.nudge()
        self._orders.nudge()

    def refuse(self, error: DvllmError) -> None:
        """For orders that wait for room which nobody makes any more."""
        if not self.has_room:
            self._simulations.refuse(error)
            self._orders.refuse(error)

    async def close(self) -> None:
        await self._simulations.close()
        await self._orders.close()
        await self._offers.close()

    def _room(self) -> int:
        return self._settings.max_in_flight - self._outbox.n_waiting

    async def _simulated(self, calls: Sequence[Call]) -> list[Simulation | DvllmError]:
        estimates, balance_wei = await simulated_gas(self._rpc, self._sender, calls)
        return [
            Simulation(estimate, balance_wei) if isinstance(estimate, int) else estimate
            for estimate in estimates
        ]

    async def _stored(self, orders: Sequence[Order]) -> list[_Stored | Exception]:
        view = await self._recent_view()
        drafts = self._drafts(orders, view)
        made = [draft for draft in drafts if isinstance(draft, Draft)]
        stored = iter(await self._submission.store(made, view))
        outcomes = [next(stored) if isinstance(draft, Draft) else draft for draft in drafts]
        new_future = asyncio.get_running_loop().create_future
        return [_Stored(o, view, new_future()) if isinstance(o, Outgoing) else o for o in outcomes]

    async def _offered(self, stored: Sequence[_Stored]) -> list[Outgoing]:
        outgoings = [each.outgoing for each in stored]
        for asked in (each.asked for each in stored if not each.asked.done()):
            asked.set_result(None)  # seen in the loop's next step: it is on the wire by then
        await self._submission.offer(outgoings, stored[-1].view)
        return outgoings

    def _drafts(self, orders: Sequence[Order], view: View) -> list[Draft | DvllmError]:
        """Each as it is to be signed, or why it is not; earlier ones are paid for first."""
        fee_wei = self._submission.fees(view).max_fee_wei
        promised = sum(outgoing.most_cost_wei for outgoing in self._outbox.waiting())
        drafts: list[Draft | DvllmError] = []
        for order in orders:
            try:
                assert order.simulation is not None
                draft = self._draft(order, order.simulation.gas, view)
                cost = draft.gas_limit * fee_wei
                self._check_balance(order.call, order.simulation.balance_wei, promised + cost)
                promised += cost
                drafts.append(draft)
            except DvllmError as error:
                drafts.append(error)
        return drafts

    def _draft(self, order: Order, gas: int, view: View) -> Draft:
        call, deadline_s = order.call, order.deadline_s
        limit = gas_limit(gas, most=self._settings.max_gas, label=call.label)
        if deadline_s is not None and view.block_time_s > deadline_s:
            raise TransactionFailed(f"{call.label}: its deadline has passed")
        whole_s = None if deadline_s is None else int(deadline_s)
        return Draft(call, order.key, whole_s, limit, order.along)

    def _check_balance(self, call: Call, balance: Wei, needed: int) -> None:
        if balance < needed:
            raise InsufficientGas(
                f"{call.label}: {self._sender} has {format_tokens(balance)} for gas, "
                f"and up to {format_tokens(needed)} may be needed",
                hint="send it some of the chain's own coin",
            )
