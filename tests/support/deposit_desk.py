"""A gateway's watch over deposits, running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.ids import Address, BlockNumber
from dvllm_gateway.ids import account_of
from dvllm_gateway.market.deposits import DepositSettings, DepositWatch, watch_deposits
from dvllm_gateway.services.stores import LedgerLine
from dvllm_gateway.state import Database, SqlAccountStore
from tests.support.anvil import development_account

USER = development_account(6)
GATEWAY = development_account(7)
GATEWAY_ADDRESS = Address(GATEWAY.address)
OTHER_ADDRESS = Address(development_account(5).address)
USER_ACCOUNT = account_of(Address(USER.address))
QUICK = DepositSettings(poll_s=0.02, start_block=BlockNumber(1))


@dataclass(frozen=True)
class DepositDesk:
    watch: DepositWatch
    accounts: SqlAccountStore

    async def available_wei(self) -> int:
        return (await self.accounts.balance(USER_ACCOUNT)).available_wei

    async def until_available(self, amount_wei: int) -> None:
        async with asyncio.timeout(20):
            while await self.available_wei() != amount_wei:  # noqa: ASYNC110 - of a database
                await asyncio.sleep(0.02)

    async def ledger(self) -> tuple[LedgerLine, ...]:
        """Oldest first."""
        page = await self.accounts.history(USER_ACCOUNT, limit=100, offset=0)
        return tuple(reversed(page.lines))


@asynccontextmanager
async def deposit_desk(
    network: Network,
    database: Database,
    settings: DepositSettings = QUICK,
    address: Address = GATEWAY_ADDRESS,
) -> AsyncIterator[DepositDesk]:
    watch = await watch_deposits(network, database, address, settings)
    task = asyncio.create_task(watch.run())
    try:
        yield DepositDesk(watch, SqlAccountStore(database))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
