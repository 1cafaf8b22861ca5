"""Whether chain, content store and database answer, asked again and again in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import BlockNumber
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.services.network import Health

log = logging.getLogger(__name__)

CHECK_EVERY_S = 2.0
PATIENCE_S = 5.0

Check = Callable[[], Awaitable[None]]


class Part(StrEnum):
    CHAIN = "chain"
    STORE = "store"
    DATABASE = "database"


class HealthWatch:
    """`head` asks for the chain's newest block; `checks` raise when their part does not answer."""

    def __init__(
        self,
        head: Callable[[], Awaitable[BlockNumber]],
        checks: Mapping[Part, Check],
        *,
        check_every_s: float = CHECK_EVERY_S,
    ) -> None:
        self._head = head
        self._checks: Mapping[Part, Check] = {Part.CHAIN: self._read_head, **checks}
        self._check_every_s = check_every_s
        self.block_number = BlockNumber(0)
        self.silent: frozenset[Part] = frozenset(self._checks)

    @property
    def health(self) -> Health:
        """A task needs the database, and either the store or the chain to begin its way."""
        if Part.DATABASE in self.silent or {Part.CHAIN, Part.STORE} <= self.silent:
            return Health.UNHEALTHY
        return Health.DEGRADED if self.silent else Health.HEALTHY

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._check_every_s)

    async def look(self) -> None:
        """At all parts, side by side."""
        parts = tuple(self._checks)
        answers = await asyncio.gather(*(self._answers(part) for part in parts))
        silent = frozenset(
            p for p, did_answer in zip(parts, answers, strict=True) if not did_answer
        )
        if silent != self.silent:
            level = logging.WARNING if silent else logging.INFO
            log.log(level, "health changed", extra={"silent": sorted(silent)})
        self.silent = silent

    async def _answers(self, part: Part) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._checks[part]()
        except (DvllmError, GatewayError, TimeoutError, OSError) as error:
            log.info("no answer", extra={"part": part, "reason": type(error).__name__})
            return False
        return True

    async def _read_head(self) -> None:
        self.block_number = await self._head()
