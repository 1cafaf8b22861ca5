"""From calls to stored and broadcast transactions: those that come together go together.

One simulation request, one commit and one broadcast for a group, however many are in it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from decentralized_vllm.chain.confirmation import View
from decentralized_vllm.chain.confirmer import SenderSettings
from decentralized_vllm.chain.outbox import Outbox
from decentralized_vllm.chain.outgoing import Outgoing
from decentralized_vllm.chain.preparation import gas_limit, simulated_gas
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.submission import Draft, Submission
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import DvllmError, InsufficientGas, TransactionFailed
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import format_tokens


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller wants sent, under a key that is its alone."""

    call: Call
    key: str
    deadline_s: float | None


class Intake:
    """`accept(order)` waits while as many are unmined as may be; call `nudge` when some are mined.

    `fresh_view` looks at the chain unless it has just been looked at.
    """

    def __init__(
        self,
        rpc: Rpc,
        sender: Address,
        outbox: Outbox,
        submission: Submission,
        settings: SenderSettings,
        fresh_view: Callable[[], Awaitable[View]],
    ) -> None:
        self._rpc = rpc
        self._sender = sender
        self._outbox = outbox
        self._submission = submission
        self._settings = settings
        self._fresh_view = fresh_view
        self._orders = Grouped(self._accept, room=self._room)

    @property
    def has_room(self) -> bool:
        return self._room() > 0

    async def accept(self, order: Order) -> Outgoing:
        """Raises what the simulation raises, InsufficientGas, TransactionFailed, StorageFull."""
        return await self._orders(order)

    def nudge(self) -> None:
        self._orders.nudge()

    def refuse(self, error: DvllmError) -> None:
        """For orders that wait for room which nobody makes any more."""
        if not self.has_room:
            self._orders.refuse(error)

    async def close(self) -> None:
        await self._orders.close()

    def _room(self) -> int:
        return self._settings.max_in_flight - self._outbox.n_waiting

    async def _accept(self, orders: Sequence[Order]) -> list[Outgoing | Exception]:
        (estimates, balance), view = await asyncio.gather(
            simulated_gas(self._rpc, self._sender, [order.call for order in orders]),
            self._fresh_view(),
        )
        drafts = self._drafts(orders, estimates, balance, view)
        stored = await self._submission.store([d for d in drafts if isinstance(d, Draft)], view)
        await self._submission.offer(stored, view)
        accepted = iter(stored)
        return [next(accepted) if isinstance(draft, Draft) else draft for draft in drafts]

    def _drafts(
        self,
        orders: Sequence[Order],
        estimates: Sequence[int | DvllmError],
        balance: Wei,
        view: View,
    ) -> list[Draft | DvllmError]:
        """Each as it is to be signed, or why it is not; earlier ones are paid for first."""
        fee_wei = self._submission.fees(view).max_fee_wei
        promised = sum(outgoing.most_cost_wei for outgoing in self._outbox.waiting())
        drafts: list[Draft | DvllmError] = []
        for order, estimate in zip(orders, estimates, strict=True):
            try:
                draft = self._draft(order, estimate, view)
                cost = draft.gas_limit * fee_wei
                self._check_balance(order.call, balance, promised + cost)
                promised += cost
                drafts.append(draft)
            except DvllmError as error:
                drafts.append(error)
        return drafts

    def _draft(self, order: Order, estimate: int | DvllmError, view: View) -> Draft:
        if isinstance(estimate, DvllmError):
            raise estimate
        call, deadline_s = order.call, order.deadline_s
        limit = gas_limit(estimate, most=self._settings.max_gas, label=call.label)
        if deadline_s is not None and view.block_time_s > deadline_s:
            raise TransactionFailed(f"{call.label}: its deadline has passed")
        return Draft(call, order.key, None if deadline_s is None else int(deadline_s), limit)

    def _check_balance(self, call: Call, balance: Wei, needed: int) -> None:
        if balance < needed:
            raise InsufficientGas(
                f"{call.label}: {self._sender} has {format_tokens(balance)} for gas, "
                f"and up to {format_tokens(needed)} may be needed",
                hint="send it some of the chain's own coin",
            )
