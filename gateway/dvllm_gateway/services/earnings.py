"""What the operator's node has earned: told to whoever listens, each time it changes."""

import asyncio
import logging
from typing import Protocol

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.services.announcing import Announce
from dvllm_gateway.services.events import EarningsChanged, EventName

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0


class EarningsSource(Protocol):
    async def total_wei(self) -> Wei:
        """All that the node ever earned, before the network's fee. Raises NetworkUnavailable."""


class EarningsWatch:
    """`run` must run. What was earned before it began is no news."""

    def __init__(self, source: EarningsSource, announce: Announce) -> None:
        self._source = source
        self._announce = announce
        self._known_wei: Wei | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except GatewayError as error:
                log.info("earnings are not known now: %s", error.message)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Raises NetworkUnavailable."""
        total_wei = await self._source.total_wei()
        if self._known_wei not in (None, total_wei):
            await self._announce(EventName.EARNINGS_CHANGED, EarningsChanged(total_wei))
        self._known_wei = total_wei
