"""What an operator does with the node's tokens, by the one sender of its key."""

import asyncio
from typing import Any

from decentralized_vllm.protocol.errors import InsufficientFunds
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Wei
from decentralized_vllm.protocol.nodes import NodeAccount
from decentralized_vllm.protocol.transactions import Call, Receipt
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.permits import Permits
from dvllm_worker.office.refusals import told_plainly
from dvllm_worker.onchain import Desk

Told = dict[str, Any]  # what its command prints


class Treasury:
    """One at a time: each looks at what there is before it sends, and permits are numbered.

    Every method raises InsufficientFunds, NotReady and what the sender raises.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turn = asyncio.Lock()

    async def stake(self, amount_wei: Wei) -> Told:
        async with self._turn:
            desk = self._desk
            await self._check_wallet(amount_wei)
            permit = await Permits(desk.network, desk.account).sign(amount_wei)
            receipt = await self._do(desk.network.node_calls.stake_with_permit(permit))
            stake_wei = (await desk.node()).stake_wei
            return {
                "node": desk.address,
                "stake": format_tokens(stake_wei),
                "stake_wei": stake_wei,
                "tx_hash": receipt.tx_hash,
            }

    async def unstake(self, amount_wei: Wei) -> Told:
        """Starts the cool-down of free stake."""
        async with self._turn:
            desk = self._desk
            receipt = await self._do(desk.network.node_calls.request_unstake(amount_wei))
            node = await desk.node()
            return {
                "node": desk.address,
                "stake_wei": node.stake_wei,
                "cooling": format_tokens(node.cooling_wei),
                "cooling_until_s": node.cooling_until_s,
                "tx_hash": receipt.tx_hash,
            }

    async def withdraw_stake(self) -> Told:
        """All whose cool-down is over."""
        async with self._turn:
            cooling_wei = (await self._desk.node()).cooling_wei
            if cooling_wei == 0:
                raise InsufficientFunds(
                    "no stake is cooling down", hint="run `worker unstake AMOUNT`"
                )
            await self._do(self._desk.network.node_calls.withdraw_stake())
            return self._withdrawn(cooling_wei)

    async def withdraw_earnings(self, amount_wei: Wei | None) -> Told:
        """Matures what is due first. None withdraws all of it."""
        async with self._turn:
            desk = self._desk
            node = await desk.node()
            if node.pending_earnings_wei:
                await desk.do(desk.network.node_calls.settle(desk.address))
            credit_wei = await desk.network.coordinator.credit(desk.address)
            wanted_wei = credit_wei if amount_wei is None else amount_wei
            if not 0 < wanted_wei <= credit_wei:
                raise InsufficientFunds(
                    f"{format_tokens(credit_wei)} tokens can be withdrawn now",
                    hint=_where_earnings_are(node),
                )
            await desk.do(desk.network.requester_calls.withdraw(wanted_wei))
            return self._withdrawn(wanted_wei)

    async def _do(self, call: Call) -> Receipt:
        with told_plainly(self._desk.address):
            return await self._desk.do(call)

    async def _check_wallet(self, amount_wei: Wei) -> None:
        balance_wei = await self._desk.network.token.balance(self._desk.address)
        if balance_wei < amount_wei:
            raise InsufficientFunds(
                f"{self._desk.address} has {format_tokens(balance_wei)} tokens, "
                f"{format_tokens(amount_wei)} are needed",
                hint="send it tokens first",
            )

    def _withdrawn(self, amount_wei: Wei) -> Told:
        return {
            "node": self._desk.address,
            "amount": format_tokens(amount_wei),
            "amount_wei": amount_wei,
        }


def _where_earnings_are(node: NodeAccount) -> str:
    if node.payout not in (ZERO_ADDRESS, node.operator):
        return f"earnings go to {node.payout}, which withdraws them: dvllm wallet withdraw"
    return "earnings mature over the dispute window; `worker status` shows them"
