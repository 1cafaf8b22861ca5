"""Counts each call against the limits of its dialect and of its account."""

from dvllm_gateway.errors import RateLimited
from dvllm_gateway.http.operation import Dialect, Operation
from dvllm_gateway.http.visit import Visit
from dvllm_gateway.services.ports import Limits
from dvllm_gateway.services.principals import Principal


class RateDesk:
    def __init__(self, dialect: Dialect, limits: Limits) -> None:
        classes = {dialect.fallback_class, *(each.rate_class for each in dialect.operations)}
        if missing := classes - set(dialect.rates):
            raise ValueError(f"{dialect.name}: no rates for {sorted(missing)}")
        self._dialect = dialect
        self._limits = limits

    async def count(self, visit: Visit, operation: Operation, principal: Principal | None) -> None:
        """Raises RateLimited, with the limit noted."""
        by_address = principal is None or operation.rate_class in self._dialect.by_address
        caller = _of_address(visit) if principal is None or by_address else principal.account
        await self._count(visit, operation.rate_class, caller, spends=operation.spends)

    async def count_other(self, visit: Visit) -> None:
        """A call of no operation, or of nobody known. Raises RateLimited, with the limit noted."""
        await self._count(visit, self._dialect.fallback_class, _of_address(visit), spends=False)

    async def _count(self, visit: Visit, rate_class: str, caller: str, *, spends: bool) -> None:
        call = (self._dialect.name, rate_class, self._dialect.rates[rate_class], caller)
        try:
            visit.limit = await self._limits.count(*call, spends=spends)
        except RateLimited:
            visit.limit = await self._limits.state(*call, spends=spends)
            raise


def _of_address(visit: Visit) -> str:
    """No account can have such a name."""
    return f"ip:{visit.address}"
