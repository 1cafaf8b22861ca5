"""An account's money: what it has, and the ways in and out of the coordinator."""

import asyncio
import uuid

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import InsufficientFunds, SettingError
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call, Receipt
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.key_sender import SendsInTurn
from decentralized_vllm.requester.permits import Permits
from decentralized_vllm.requester.tasks import Balance


async def balance_of(network: Network, account: Address) -> Balance:
    credit, wallet, gas = await asyncio.gather(
        network.coordinator.credit(account),
        network.token.balance(account),
        network.rpc.call("eth_getBalance", account, "latest"),
    )
    return Balance(account, credit, wallet, Wei(int(gas, 16)))


class Purse:
    """Every call returns when it is mined. Raises ContractRevert, InsufficientGas."""

    def __init__(
        self, network: Network, account: Address, sender: SendsInTurn, permits: Permits
    ) -> None:
        self._network = network
        self._account = account
        self._sender = sender
        self._permits = permits

    async def deposit(self, amount_wei: Wei) -> Receipt:
        """From the wallet into credit. Raises InsufficientFunds."""
        async with self._sender.turn():  # a permit's nonce belongs to one transaction
            held_wei = await self._network.token.balance(self._account)
            if held_wei < amount_wei:
                raise InsufficientFunds(f"the wallet holds {format_tokens(held_wei)} tokens")
            permit = await self._permits.sign(amount_wei)
            return await self._send(self._network.requester_calls.deposit_with_permit(permit))

    async def withdraw(self, amount_wei: Wei) -> Receipt:
        """From credit into the wallet. Raises InsufficientFunds."""
        return await self._send(self._network.requester_calls.withdraw(amount_wei))

    async def draw_test_tokens(self, amount_wei: Wei) -> Receipt:
        """From the faucet that local chains have. Raises SettingError elsewhere."""
        if not self._network.identity.is_local:
            raise SettingError("eth_node_url", "only local chains have a faucet")
        return await self._send(self._network.token.faucet(self._account, amount_wei))

    async def _send(self, call: Call) -> Receipt:
        key = f"purse:{uuid.uuid4()}"
        await self._sender.send(call, key=key)
        return await self._sender.wait(key)
