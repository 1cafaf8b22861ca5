"""Takes money in while this process holds the gateway's key: a piece of the composition root."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from decentralized_vllm.process.supervision import keep_running
from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.errors import NoCapacity
from dvllm_gateway.market.deposits import DepositSettings, watch_deposits
from dvllm_gateway.market.desk import Desk
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.market.payments import RequestPayments
from dvllm_gateway.market.top_ups import RelayedTopUps, TopUpSettings
from dvllm_gateway.services.task_market import Market
from dvllm_gateway.services.top_ups import SignedPayment, TopUp
from dvllm_gateway.state import Database, SqlRequestNonceStore

RETRY_AFTER_S = 5


class Takings:
    """The port TopUps, and the desk's market with deposits watched for as long as it is open.

    `ignored` are addresses of the operator, whose transfers to the gateway are no deposits.
    """

    def __init__(
        self,
        desk: Desk,
        database: Database,
        deposits: DepositSettings,
        top_ups: TopUpSettings,
        *,
        ignored: frozenset[Address],
    ) -> None:
        self._desk = desk
        self._database = database
        self._deposit_settings = deposits
        self._top_up_settings = top_ups
        self._ignored = ignored
        self._top_ups: RelayedTopUps | None = None

    async def payee(self) -> Address:
        return self._desk.address

    async def relay(self, payment: SignedPayment) -> TopUp:
        return await self._on_duty().relay(payment)

    def payments(self) -> RequestPayments:
        """The port Payments."""
        return RequestPayments(
            self._desk.network,
            self._desk.address,
            self._on_duty,
            SqlRequestNonceStore(self._database),
            minimum_wei=self._top_up_settings.minimum_wei,
        )

    def _on_duty(self) -> RelayedTopUps:
        if self._top_ups is None:
            raise NoCapacity(
                "another process has the gateway's key now", retry_after_s=RETRY_AFTER_S
            )
        return self._top_ups

    @asynccontextmanager
    async def open_market(self) -> AsyncIterator[Market]:
        """Raises what the desk's raises."""
        async with self._desk.open_market() as market:
            watching = asyncio.create_task(keep_running("deposits", self._watch))
            try:
                yield market
            finally:
                self._top_ups = None
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        """From what the database says was read: started again, nothing is skipped."""
        desk = self._desk
        with as_gateway_errors():
            deposits = await watch_deposits(
                desk.network,
                self._database,
                desk.address,
                self._deposit_settings,
                ignored=self._ignored,
            )
        self._top_ups = RelayedTopUps(
            desk.network, desk.address, desk.sender, deposits, self._top_up_settings
        )
        await deposits.run()
