"""Limits as the settings ask for them: in this process, or in Redis."""

import pytest
from pydantic import SecretStr

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.access import rate_limits
from dvllm_gateway.errors import RateLimited
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.scopes import ScopePolicy
from dvllm_gateway.settings import LimitsSection
from tests.support.redis_server import needs_redis, running_redis

WIDE = Rate(1000, 60)


async def test_rate_limits__budgets__are_those_of_the_settings() -> None:
    section = LimitsSection(inference="2/hour", auth=("5/minute", "1/hour"), tokens="7/minute")
    async with rate_limits(section) as limits:
        spent = await limits.count("dvllm", "submit", WIDE, "alice", spends=True)
        assert (spent.limit, spent.remaining) == (2, 1)
        await limits.count("dvllm", "auth", WIDE, "ip:::", spends=False)
        with pytest.raises(RateLimited):
            await limits.count("dvllm", "auth", WIDE, "ip:::", spends=False)
        assert (await limits.token_state("alice")).limit == 7


@pytest.mark.parametrize("name", ["inference", "reads", "wallet", "deploy", "tokens"])
async def test_rate_limits__no_rate__names_the_setting(name: str) -> None:
    with pytest.raises(SettingError, match=f"limits.{name}"):
        async with rate_limits(LimitsSection.model_validate({name: "often"})):
            pytest.fail("it was accepted")


@needs_redis
async def test_rate_limits__redis_url__is_shared() -> None:
    with running_redis() as url:
        section = LimitsSection(inference="2/hour", redis_url=SecretStr(url))
        async with rate_limits(section) as here, rate_limits(section) as there:
            await here.count("dvllm", "submit", WIDE, "alice", spends=True)
            state = await there.state("dvllm", "submit", WIDE, "alice", spends=True)
            assert (state.limit, state.remaining) == (2, 1)


def test_scope_policy__operator_that_is_no_account__names_the_setting() -> None:
    with pytest.raises(SettingError, match=r"auth\.operators"):
        ScopePolicy.of(["alice", "Not A Name"])
