"""Opens the network for one gateway: what reads it, and what trades on it with the key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.confirmer import SenderSettings
from decentralized_vllm.chain.feed import FeedSettings, LogFeed
from decentralized_vllm.chain.log_source import coordinator_logs
from decentralized_vllm.chain.network import Network, connect
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.database import Database, Transactions
from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import Address, TxHash
from decentralized_vllm.protocol.transactions import Call, Receipt
from decentralized_vllm.requester.node_door import NodeDoor
from decentralized_vllm.requester.node_sources import NodeSources
from decentralized_vllm.requester.overdue import OverdueJobs
from decentralized_vllm.requester.own_store import OwnStore
from decentralized_vllm.requester.permits import Permits
from decentralized_vllm.requester.purse import Purse, balance_of
from decentralized_vllm.requester.session import chain_settings, public_only
from decentralized_vllm.settings import ClientSettings
from dvllm_gateway.market.answers import AnswerDesk
from dvllm_gateway.market.chain_market import ChainMarket
from dvllm_gateway.market.documents import Documents
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.market.follower import Follower
from dvllm_gateway.market.node_streams import NodeStreams
from dvllm_gateway.market.placement import PromptPlacer
from dvllm_gateway.market.prompt_offers import PromptOffers
from dvllm_gateway.market.relay import NodeEars
from dvllm_gateway.market.simulations import Simulations
from dvllm_gateway.market.submitter import Submitter
from dvllm_gateway.market.sweep import EVERY_S, Sweep
from dvllm_gateway.market.terms import TermsBook
from dvllm_gateway.market.till import Till, TillSettings
from dvllm_gateway.services.task_market import Market

STREAMS_PER_NODE = 1024
LOOKBACK_BLOCKS = 8  # a feed of this process alone: what is older is asked of the job itself
AFTER_BLOCK_S = 0.1  # by then what the block says of jobs is dealt with


@dataclass(frozen=True, slots=True)
class TradeSettings:
    """`outbox` is the database of unmined transactions, which is that of the tasks they are for:
    both are durable together. Gateways that share a key share it.

    `lock_dir` keeps two processes of one machine from sending with one key. What a block tells
    counts after `confirmations`. `max_in_flight` is how many unmined transactions the chain's
    nodes take from one key; None is a cautious number.
    """

    outbox: Transactions
    lock_dir: Path
    confirmations: int = 1
    max_in_flight: int | None = None
    sweep_every_s: float = EVERY_S
    till: TillSettings = field(default_factory=TillSettings)


class KeySender:
    """The TransactionSender port for whatever else the key does; only while the market is open."""

    def __init__(self) -> None:
        self.sender: OutboxSender | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """For what is read and then acted on, such as a permit's nonce."""
        async with self._turn:
            yield

    async def send(self, call: Call, *, key: str, deadline_s: float | None = None) -> TxHash:
        return await self._present().send(call, key=key, deadline_s=deadline_s)

    async def wait(self, key: str) -> Receipt:
        return await self._present().wait(key)

    def _present(self) -> OutboxSender:
        if self.sender is None:
            raise ChainUnavailable("this process does not hold the gateway's key now")
        return self.sender


@dataclass(frozen=True, slots=True)
class Desk:
    """What needs no key's lease, and `open_market` for what does."""

    network: Network
    account: LocalAccount
    store: OwnStore
    nodes: NodeSources
    door: NodeDoor
    streams: NodeStreams
    sender: KeySender
    terms: TermsBook
    is_public_only: bool
    poll_s: float
    trade: TradeSettings

    @property
    def address(self) -> Address:
        return Address(self.account.address)

    @asynccontextmanager
    async def open_market(self) -> AsyncIterator[Market]:
        """Raises GatewayError: the chain is silent, or another process here has the key."""
        async with AsyncExitStack() as stack:
            with as_gateway_errors():
                sender = await self._open_sender(stack)
                feed = await self._open_feed(stack)
            self.sender.sender = sender
            try:
                async with asyncio.TaskGroup() as group:
                    trading = _Trading(self, sender, feed, group)
                    try:
                        yield await trading.market()
                    finally:
                        await trading.stop()
            finally:
                self.sender.sender = None

    async def _open_sender(self, stack: AsyncExitStack) -> OutboxSender:
        network = self.network
        return await stack.enter_async_context(
            OutboxSender(
                rpc=network.rpc,
                hints=network.hints,
                database=self.trade.outbox,
                identity=network.identity,
                account=self.account,
                lock_dir=self.trade.lock_dir,
                settings=self._sender_settings(),
            )
        )

    def _sender_settings(self) -> SenderSettings:
        usual = SenderSettings.for_chain(self.network.identity)
        return replace(
            usual,
            confirmations=self.trade.confirmations,
            max_in_flight=self.trade.max_in_flight or usual.max_in_flight,
            after_block_s=AFTER_BLOCK_S,
        )

    async def _open_feed(self, stack: AsyncExitStack) -> LogFeed:
        network = self.network
        database = await stack.enter_async_context(Database("sqlite://"))
        await database.add_tables(tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
        return LogFeed(
            rpc=network.rpc,
            hints=network.hints,
            database=database,
            chain=str(network.identity),
            source=coordinator_logs(network.coordinator.address),
            name="gateway",
            settings=FeedSettings(
                confirmations=self.trade.confirmations,
                poll_s=self.poll_s,
                lookback_blocks=LOOKBACK_BLOCKS,
            ),
        )


class _Trading:
    """The parts of an open market and what runs behind them."""

    def __init__(
        self, desk: Desk, sender: OutboxSender, feed: LogFeed, group: asyncio.TaskGroup
    ) -> None:
        network, me = desk.network, desk.address
        self._follower = Follower(feed, me, desk.terms.note)
        self._purse = Purse(network, me, desk.sender, Permits(network, desk.account))
        self._till = Till(self._purse, partial(balance_of, network, me), desk.trade.till)
        sweep = Sweep(
            network,
            self._follower,
            OverdueJobs(network, sender),
            every_s=desk.trade.sweep_every_s,
        )
        documents = Documents(desk.nodes, desk.store)
        simulations = Simulations(sender)
        self._market = ChainMarket(
            network,
            sender,
            me,
            terms=desk.terms,
            till=self._till,
            placer=PromptPlacer(desk.store),
            submitter=Submitter(
                network, sender, simulations, self._till, desk.terms, self._follower
            ),
            follower=self._follower,
            offers=PromptOffers(desk.nodes, desk.door),
            answers=AnswerDesk(network, documents),
            documents=documents,
            ears=NodeEars(desk.nodes, desk.streams),
            group=group,
        )
        self._group = group
        self._loops = (
            sender.run,
            self._follower.run,
            self._till.run,
            sweep.run,
            simulations.run,
        )
        self._running: list[asyncio.Task[None]] = []

    async def market(self) -> ChainMarket:
        with as_gateway_errors():
            await self._till.look()
        self._running = [self._group.create_task(loop()) for loop in self._loops]
        return self._market

    async def stop(self) -> None:
        self._market.close()
        for task in self._running:
            task.cancel()
        await self._purse.close()


@asynccontextmanager
async def open_desk(
    client: ClientSettings, account: LocalAccount, trade: TradeSettings
) -> AsyncIterator[Desk]:
    """Raises SettingError and its kinds, and ChainUnavailable."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(connect(chain_settings(client)))
        hints = asyncio.create_task(network.hints.run())
        stack.push_async_callback(_ended, hints)
        store = OwnStore(client)
        stack.push_async_callback(store.close)
        is_public_only = public_only(client, network)
        nodes = NodeSources(network.node_registry, public_only=is_public_only)
        stack.push_async_callback(nodes.close)
        http = ContentHttp(HttpTimeouts(), public_only=is_public_only, per_host=STREAMS_PER_NODE)
        stack.push_async_callback(http.close)
        door = NodeDoor(http, account)
        streams = NodeStreams(door)
        stack.push_async_callback(streams.close)
        yield Desk(
            network=network,
            account=account,
            store=store,
            nodes=nodes,
            door=door,
            streams=streams,
            sender=KeySender(),
            terms=TermsBook(network),
            is_public_only=is_public_only,
            poll_s=client.poll_s,
            trade=trade,
        )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
