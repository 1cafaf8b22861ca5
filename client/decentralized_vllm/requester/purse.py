"""An account's money: what it has, and the ways in and out of the coordinator."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.verification import checked_address
from decentralized_vllm.protocol.errors import InsufficientFunds, SettingError
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call, Receipt
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.key_sender import SendsInTurn
from decentralized_vllm.requester.permits import Permits
from decentralized_vllm.requester.seeing_through import Commitment, SeeingThrough
from decentralized_vllm.requester.tasks import Balance


async def balance_of(network: Network, account: Address) -> Balance:
    credit, wallet, gas = await asyncio.gather(
        network.coordinator.credit(account),
        network.token.balance(account),
        network.rpc.call("eth_getBalance", account, "latest"),
    )
    return Balance(account, credit, wallet, Wei(int(gas, 16)))


class Purse:
    """Every call returns when it is mined. Raises ContractRevert, InsufficientGas.

    What is being sent is seen through though its caller leaves: the next plans with what it left.
    """

    def __init__(
        self, network: Network, account: Address, sender: SendsInTurn, permits: Permits
    ) -> None:
        self._network = network
        self._account = account
        self._sender = sender
        self._permits = permits
        self._seeing_through = SeeingThrough()

    async def close(self) -> None:
        await self._seeing_through.close()

    async def deposit(self, amount_wei: Wei) -> Receipt:
        """From the wallet into credit. Raises InsufficientFunds."""

        async def permitted() -> Call:
            await self._check_held(amount_wei)
            permit = await self._permits.sign(amount_wei)
            return self._network.requester_calls.deposit_with_permit(permit)

        return await self._send_planned(permitted)

    async def withdraw(self, amount_wei: Wei) -> Receipt:
        """From credit into the wallet. Raises InsufficientFunds."""

        async def withdrawal() -> Call:
            return self._network.requester_calls.withdraw(amount_wei)

        return await self._send_planned(withdrawal)

    async def send(self, to: str, amount_wei: Wei) -> Receipt:
        """From the wallet to another one's. Raises SettingError and InsufficientFunds."""
        payee = self._payee(to)
        if not amount_wei:
            raise SettingError("amount", "there is nothing to send")

        async def transfer() -> Call:
            await self._check_held(amount_wei)
            return self._network.token.transfer(payee, amount_wei)

        return await self._send_planned(transfer)

    def _payee(self, to: str) -> Address:
        """The network's contracts count what they are told of: the rest would be lost in them."""
        payee = checked_address("to", to)
        network = self._network
        contracts = (network.coordinator, network.token, network.model_registry)
        if payee in {each.address for each in (*contracts, network.node_registry)}:
            raise SettingError("to", "this is a contract of the network, which keeps it for good")
        if payee == self._account:
            raise SettingError("to", "this is the wallet's own address")
        if not int(payee, 16):
            raise SettingError("to", "nobody could move tokens of this address")
        return payee

    async def draw_test_tokens(self, amount_wei: Wei) -> Receipt:
        """From the faucet that local chains have. Raises SettingError elsewhere."""
        if not self._network.identity.is_local:
            raise SettingError("eth_node_url", "only local chains have a faucet")
        return await self._send(self._network.token.faucet(self._account, amount_wei))

    async def _check_held(self, amount_wei: Wei) -> None:
        held_wei = await self._network.token.balance(self._account)
        if held_wei < amount_wei:
            raise InsufficientFunds(f"the wallet holds {format_tokens(held_wei)} tokens")

    async def _send_planned(self, plan: Callable[[], Awaitable[Call]]) -> Receipt:
        """One at a time: a permit's nonce and what is held belong to one transaction."""

        async def planned(commitment: Commitment) -> Receipt:
            async with self._sender.turn(), self._permits.planning:
                call = await plan()
                commitment.is_made = True
                return await self._send(call)

        return await self._seeing_through.run(planned)

    async def _send(self, call: Call) -> Receipt:
        key = f"purse:{uuid.uuid4()}"
        await self._sender.send(call, key=key)
        return await self._sender.wait(key)
