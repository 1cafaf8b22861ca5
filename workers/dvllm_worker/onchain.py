"""The chain as one node uses it: a verified deployment, its key, and the one sender of that key."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.confirmer import SenderSettings
from decentralized_vllm.chain.keys import (
    keystore_address,
)
from decentralized_vllm.chain.network import ChainSettings, Network, connect
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.chain.verification import checked_address
from decentralized_vllm.process.own_key import check_key_may_be_raw, load_key
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.nodes import NodeAccount
from decentralized_vllm.protocol.transactions import Call, Receipt
from dvllm_worker.settings import WorkerSettings

AFTER_BLOCK_S = 0.1  # by then the leases of a block are under way


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a node needs to read the chain and to write to it with its own key.

    It is the pipeline's purse, too.
    """

    network: Network
    database: Database
    account: LocalAccount
    sender: OutboxSender

    @property
    def address(self) -> Address:
        return self.sender.address

    async def node(self) -> NodeAccount:
        return await self.network.coordinator.node(self.address)

    async def balance(self) -> Wei:
        return await self.sender.balance()

    async def gas_price(self) -> Wei:
        return Wei(int(await self.network.rpc.call("eth_gasPrice"), 16))

    async def do(self, call: Call) -> Receipt:
        """Sends once and waits until it is confirmed. Raises what the sender raises."""
        key = f"do:{uuid.uuid4()}"
        await self.sender.send(call, key=key)
        return await self.sender.wait(key)


@asynccontextmanager
async def open_network(settings: WorkerSettings) -> AsyncIterator[Network]:
    """For reading only. Raises ChainUnavailable and the SettingError family."""
    chain = settings.chain
    if not chain.contract_address:
        raise SettingError(
            "chain.contract_address",
            "is missing",
            hint="the coordinator's address, in worker.toml or --contract",
        )
    async with connect(
        ChainSettings(
            eth_node_url=chain.eth_node_url,
            contract_address=chain.contract_address,
            ws_url=chain.ws_url,
            chain_id=chain.chain_id,
            first_block=chain.first_block,
        )
    ) as network:
        yield network


@asynccontextmanager
async def open_desk(settings: WorkerSettings) -> AsyncIterator[Desk]:
    """Holds the key's lock and keeps the sender running. Raises KeyInUse and the SettingErrors."""
    async with open_network(settings) as network:
        account = load_account(settings, network.identity.chain_id)
        async with open_desk_of(account, settings, network) as desk:
            yield desk


@asynccontextmanager
async def open_desk_of(
    account: LocalAccount, settings: WorkerSettings, network: Network
) -> AsyncIterator[Desk]:
    """As `open_desk`, for a key that is loaded already: its passphrase is asked for once."""
    async with (
        Database(settings.database_path) as database,
        OutboxSender(
            rpc=network.rpc,
            hints=network.hints,
            database=database,
            identity=network.identity,
            account=account,
            lock_dir=settings.key.lock_dir,
            settings=_sender_settings(settings, network),
        ) as sender,
        _running(network, sender),
    ):
        yield Desk(network, database, account, sender)


@asynccontextmanager
async def _running(network: Network, sender: OutboxSender) -> AsyncIterator[None]:
    tasks = [
        asyncio.create_task(network.hints.run(), name="head hints"),
        asyncio.create_task(sender.run(), name="sender"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def _sender_settings(settings: WorkerSettings, network: Network) -> SenderSettings:
    fitting = SenderSettings.for_chain(network.identity)
    return replace(
        fitting,
        confirmations=settings.chain.confirmations,
        after_block_s=AFTER_BLOCK_S,
        retries_reverted=True,  # a delivery, while its lease lasts
    )


def load_account(settings: WorkerSettings, chain_id: int) -> LocalAccount:
    """Raises SettingError naming the setting, never showing the key."""
    check_key_may_be_raw(settings.key, chain_id)
    return load_key(settings.key)


def node_address(settings: WorkerSettings, chain_id: int) -> Address:
    """The node's address without asking for a passphrase. Raises SettingError."""
    if settings.key.keystore is not None:
        return checked_address("key.keystore", keystore_address(settings.key.keystore))
    return Address(load_account(settings, chain_id).address)
