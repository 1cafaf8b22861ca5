"""How often a caller may call: the dialect's table, and one budget across all dialects."""

from collections.abc import Sequence
from dataclasses import dataclass

from limits import parse

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.errors import RateLimited
from dvllm_gateway.services.ports import LimitState, Rate
from dvllm_gateway.services.rate_windows import Counted, Window, Windows

MINUTE_S = 60
HOUR_S = 3600

INFERENCE = Rate(100, MINUTE_S)
READS = Rate(10_000, HOUR_S)
WALLET = Rate(10, MINUTE_S)
DEPLOY = Rate(10, HOUR_S)
AUTH = (Rate(20, MINUTE_S), Rate(100, HOUR_S))
TOKENS = Rate(1_000_000, MINUTE_S)


@dataclass(frozen=True, slots=True)
class Budgets:
    """Of one account, or of one address on the net, over all dialects and mounts.

    Without them a client collects the sum of all tables. Each is that of the most generous
    dialect. `auth` is for logins, where each of several rates must hold; `tokens` are generated
    and read ones together.
    """

    inference: Rate = INFERENCE
    reads: Rate = READS
    wallet: Rate = WALLET
    deploy: Rate = DEPLOY
    auth: tuple[Rate, ...] = AUTH
    tokens: Rate = TOKENS

    def of(self, rate_class: str, *, spends: bool) -> tuple[str, tuple[Rate, ...]]:
        """Its name, and the rates that must all hold."""
        if rate_class == "auth":
            return "auth", self.auth
        if rate_class == "wallet":
            return "wallet", (self.wallet,)
        if rate_class == "deploy":
            return "deploy", (self.deploy,)
        return ("inference", (self.inference,)) if spends else ("reads", (self.reads,))


def read_rate(text: str, setting: str) -> Rate:
    """`100/minute`, `10 per 2 hours`. Raises SettingError naming `setting`."""
    try:
        item = parse(text)
    except ValueError:
        raise SettingError(setting, f"{text!r} is not like 100/minute") from None
    if item.amount < 1 or item.get_expiry() < 1:
        raise SettingError(setting, f"{text!r} allows nothing")
    return Rate(item.amount, item.get_expiry())


class RateLimits:
    """The port Limits."""

    def __init__(self, windows: Windows, budgets: Budgets | None = None) -> None:
        self._windows = windows
        self._budgets = budgets or Budgets()

    async def count(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        """All are looked at before any is counted, so that a refused call costs nothing."""
        counted = self._counted(dialect, rate_class, rate, caller, spends=spends)
        taken = await self._windows.take(counted, 1)
        if not taken.is_counted:
            raise _refusal(taken.windows, 1)
        return _tightest([window.state(1) for window in taken.windows])

    async def state(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        counted = self._counted(dialect, rate_class, rate, caller, spends=spends)
        return _tightest([window.state() for window in await self._windows.read(counted)])

    async def count_tokens(self, caller: str, n_tokens: int) -> LimitState:
        counted = self._tokens(caller)
        n_taken = n_tokens
        while n_taken:
            taken = await self._windows.take(counted, n_taken)
            if taken.is_counted:
                return taken.windows[0].state(n_taken)
            n_taken = taken.windows[0].room(n_taken)
        return await self.token_state(caller)

    async def token_state(self, caller: str) -> LimitState:
        return _tightest(
            [window.state() for window in await self._windows.read(self._tokens(caller))]
        )

    def _counted(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> list[Counted]:
        budget, rates = self._budgets.of(rate_class, spends=spends)
        counted = [Counted(f"dialect/{dialect}/{rate_class}/{caller}", rate)]
        for each in rates:
            counted.append(Counted(f"budget/{budget}/{caller}", each))
        return counted

    def _tokens(self, caller: str) -> list[Counted]:
        return [Counted(f"tokens/{caller}", self._budgets.tokens)]


def _refusal(windows: Sequence[Window], n: int) -> RateLimited:
    wait_s = max(1, *(window.wait_s(n) for window in windows))
    return RateLimited(f"too many calls: try again in {wait_s} s", retry_after_s=wait_s)


def _tightest(states: Sequence[LimitState]) -> LimitState:
    """What runs out first, and of several such the one that takes longest to come back."""
    return min(states, key=lambda state: (state.remaining, -state.reset_s))
