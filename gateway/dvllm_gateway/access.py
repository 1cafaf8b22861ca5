"""Builds who may call and how often, out of the settings: a piece of the composition root."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.server_secret import server_secret
from dvllm_gateway.services.api_keys import ApiKeyService
from dvllm_gateway.services.auth import Authentication
from dvllm_gateway.services.guesses import Guesses
from dvllm_gateway.services.limits import Budgets, RateLimits, read_rate
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.rate_memory import MemoryWindows
from dvllm_gateway.services.scopes import ScopePolicy
from dvllm_gateway.services.siwe import WalletLogins
from dvllm_gateway.services.wallet_signature import ContractWallets, SignedRequests, Wallets
from dvllm_gateway.settings import GatewaySettings, LimitsSection
from dvllm_gateway.state import (
    Database,
    SqlApiKeyStore,
    SqlLoginNonceStore,
    SqlRequestNonceStore,
)


def api_keys(settings: GatewaySettings, database: Database) -> ApiKeyService:
    """Raises SettingError. Makes the server's secret if there is none."""
    policy = ScopePolicy.of(settings.auth.operators)
    return ApiKeyService(SqlApiKeyStore(database), policy, server_secret(settings.secret_path))


def authentication(
    settings: GatewaySettings,
    database: Database,
    keys: ApiKeyService,
    contracts: ContractWallets,
    origins: PublicOrigins,
    *,
    chain_id: int,
    owner: Callable[[], Awaitable[Address]],
) -> Authentication:
    """`owner` reads who owns the models just now. Raises SettingError."""
    wallets = Wallets(contracts)
    return Authentication(
        keys,
        SignedRequests(wallets, SqlRequestNonceStore(database), origins),
        WalletLogins(SqlLoginNonceStore(database), wallets, origins, chain_id),
        ScopePolicy.of(settings.auth.operators),
        owner=owner,
        guesses=Guesses(read_rate(settings.limits.bad_credentials, "limits.bad_credentials")),
    )


@asynccontextmanager
async def rate_limits(settings: LimitsSection) -> AsyncIterator[RateLimits]:
    """Raises SettingError."""
    budgets = _budgets(settings)
    if settings.redis_url is None:
        yield RateLimits(MemoryWindows(), budgets)
        return
    try:
        from dvllm_gateway.services.rate_redis import redis_windows
    except ImportError as error:
        raise SettingError(
            "limits.redis_url",
            "needs redis",
            hint="pip install 'decentralized-vllm-gateway[redis]'",
        ) from error
    async with redis_windows(settings.redis_url.get_secret_value()) as windows:
        yield RateLimits(windows, budgets)


def _budgets(settings: LimitsSection) -> Budgets:
    return Budgets(
        inference=read_rate(settings.inference, "limits.inference"),
        reads=read_rate(settings.reads, "limits.reads"),
        wallet=read_rate(settings.wallet, "limits.wallet"),
        deploy=read_rate(settings.deploy, "limits.deploy"),
        auth=tuple(read_rate(text, "limits.auth") for text in settings.auth),
        tokens=read_rate(settings.tokens, "limits.tokens"),
    )
