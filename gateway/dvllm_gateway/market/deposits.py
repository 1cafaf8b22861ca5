"""Deposits: tokens sent to the gateway's address become credit of whoever sent them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from decentralized_vllm.chain.feed import FeedSettings, LogFeed
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.log_source import tokens_received
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.schema import apply_schema
from decentralized_vllm.protocol.events import ChainEvent, Cursor, EventBatch, TokensTransferred
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, BlockNumber, TxHash
from dvllm_gateway.errors import RetryableGatewayError
from dvllm_gateway.ids import account_of
from dvllm_gateway.services.clock import unix_ms
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.stores import Deposit
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.deposits import SqlDepositStore
from dvllm_gateway.state.transactions import LibraryTransactions

log = logging.getLogger(__name__)

FEED_NAME = "deposits"


class DepositFeed(Protocol):
    """What of a LogFeed is used."""

    def batches(self) -> AsyncIterator[EventBatch]: ...

    def advancing(self, cursor: Cursor) -> Callable[[Connection], None]: ...


@dataclass(frozen=True, slots=True)
class DepositSettings:
    """`confirmations`: blocks until a transfer counts, its own included. `start_block`: where a
    gateway begins that has read nothing yet; None begins at the head, so that a lost database
    does not give back what was spent long ago.
    """

    confirmations: int = 1
    poll_s: float = 1.0
    start_block: BlockNumber | None = None


class DepositWatch:
    """Credits each transfer once, across restarts and re-organisations, while `run` runs.

    One process at a time watches an address: whoever holds its key's lease. Transfers from
    `ignored` addresses are no deposits.
    """

    def __init__(
        self,
        feed: DepositFeed,
        store: SqlDepositStore,
        ignored: frozenset[Address],
        *,
        clock_ms: Callable[[], int] = unix_ms,
    ) -> None:
        self._feed = feed
        self._store = store
        self._ignored = ignored | {ZERO_ADDRESS}
        self._clock_ms = clock_ms
        self._applied = asyncio.Condition()

    async def run(self) -> None:
        """Until cancelled. Outages of chain and database are waited out."""
        async for batch in self._feed.batches():
            await self._apply(batch)
            async with self._applied:
                self._applied.notify_all()

    async def credited(self, tx_hash: TxHash) -> None:
        """Returns when a transfer of that transaction is credited; never, if it has none."""
        async with self._applied:
            while not await self._store.is_credited(tx_hash):
                await self._applied.wait()

    async def _apply(self, batch: EventBatch) -> None:
        found = self._deposits(batch.events)
        along = self._feed.advancing(batch.cursor)  # handed out once: to be repeated as it is
        retries = Retries()
        while True:
            try:
                await self._store.apply(
                    found, rewound_to=batch.rewound_to, at_ms=self._clock_ms(), along=along
                )
            except RetryableGatewayError as error:
                log.warning("deposits_wait", extra={"reason": error.message})
                await retries.pause()
            else:
                break
        if found:
            log.info("deposits_credited", extra={"count": len(found)})

    def _deposits(self, events: Sequence[ChainEvent]) -> list[Deposit]:
        """Anybody can transfer nothing in anybody's name: that makes no account."""
        return [
            Deposit(event.position, account_of(event.sender), event.amount_wei)
            for event in events
            if isinstance(event, TokensTransferred)
            and event.amount_wei > 0
            and event.sender not in self._ignored
        ]


async def watch_deposits(
    network: Network,
    database: Database,
    address: Address,
    settings: DepositSettings,
    *,
    ignored: frozenset[Address] = frozenset(),
) -> DepositWatch:
    """Of one gateway address. `ignored`: other addresses of the same operator's gateways."""
    await database.write(
        lambda tx: apply_schema(tx, tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)
    )
    chain = str(network.identity)
    feed = LogFeed(
        rpc=network.rpc,
        hints=HeadHints(),  # it polls: a deposit has time, and what a block tells of jobs has not
        database=LibraryTransactions(database),
        chain=chain,
        source=tokens_received(network.token.address, address),
        name=f"{FEED_NAME} {address[2:10]}",
        start_block=settings.start_block,
        settings=FeedSettings(confirmations=settings.confirmations, poll_s=settings.poll_s),
    )
    own = {address, network.coordinator.address}  # withdrawn credit is no deposit
    return DepositWatch(feed, SqlDepositStore(database, chain, address), ignored | own)
