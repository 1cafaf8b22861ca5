"""The tokens an account may use in a while: who has none left waits, and every answer counts."""

from collections.abc import Mapping
from typing import Any

from decentralized_vllm.protocol.generation import Usage
from dvllm_gateway.dialects.openai.callers import account_of
from dvllm_gateway.errors import RateLimited
from dvllm_gateway.http.operation import Call
from dvllm_gateway.http.visit import VISIT
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.ports import Limits, LimitState


class TokenMeter:
    """Of one call. `headers` are those of its reply, and tell the state that was seen last."""

    def __init__(self, limits: Limits, account: AccountId, headers: dict[str, str]) -> None:
        self._limits = limits
        self._account = account
        self._headers = headers

    async def check(self) -> None:
        """Raises RateLimited. How many an answer will use nobody knows: one is enough to ask."""
        state = await self._limits.token_state(self._account)
        self._headers.update(token_headers(state))
        if state.remaining < 1:
            raise RateLimited(
                f"the account's tokens are used up: try again in {state.reset_s} s",
                retry_after_s=state.reset_s,
            )

    async def count(self, usage: Usage) -> None:
        n_tokens = usage.n_prompt_tokens + usage.n_output_tokens
        state = await self._limits.count_tokens(self._account, n_tokens)
        self._headers.update(token_headers(state))


async def checked_meter(call: Call[Any, Any]) -> TokenMeter:
    """Raises Unauthenticated, and RateLimited while the account has no tokens left."""
    meter = TokenMeter(call.core.limits, account_of(call), call.request[VISIT].headers)
    await meter.check()
    return meter


def token_headers(state: LimitState) -> Mapping[str, str]:
    return {
        "x-ratelimit-limit-tokens": str(state.limit),
        "x-ratelimit-remaining-tokens": str(state.remaining),
        "x-ratelimit-reset-tokens": f"{state.reset_s}s",
    }
