"""Limits for a request that is answered once more."""

from dvllm_gateway.services.ports import Limits, LimitState, Rate


class CountedBefore(Limits):
    """The port Limits; the tokens of the answer counted when it was made."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def count(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        return await self._limits.count(dialect, rate_class, rate, caller, spends=spends)

    async def state(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        return await self._limits.state(dialect, rate_class, rate, caller, spends=spends)

    async def count_tokens(self, caller: str, n_tokens: int) -> LimitState:
        return await self._limits.token_state(caller)

    async def token_state(self, caller: str) -> LimitState:
        return await self._limits.token_state(caller)
