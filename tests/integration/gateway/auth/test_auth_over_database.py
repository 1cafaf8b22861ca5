"""The logins of two gateways over one real database, with contract wallets on a real chain."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_account import Account

from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.siwe import signable
from dvllm_gateway.access import api_keys, authentication
from dvllm_gateway.errors import Unauthenticated
from dvllm_gateway.ids import account_of
from dvllm_gateway.market.wallet_contracts import ContractWallets
from dvllm_gateway.services.auth import Authentication
from dvllm_gateway.services.identity import Credentials, NewApiKey
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.principals import Principal, Scope
from dvllm_gateway.settings import GatewaySettings, load_settings
from dvllm_gateway.state import open_database
from tests.support.anvil import Anvil, running_anvil
from tests.support.auth_parts import REQUEST, signed
from tests.support.contract_wallets import (
    Undeployed,
    new_wallet_address,
    owned_by,
    put_code,
    sign,
)

WALLET = Account.from_key("0x" + "61" * 32)
ADDRESS = Address(WALLET.address)
NO_SCOPES: frozenset[Scope] = frozenset()


@dataclass(frozen=True)
class Pair:
    anvil: Anvil
    here: Authentication
    there: Authentication


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    settings = load_settings(None, {"data_dir": tmp_path})
    async with AsyncExitStack() as stack:
        anvil = stack.enter_context(running_anvil())
        rpc = await stack.enter_async_context(Rpc([anvil.url]))
        here = await _gateway(stack, settings, rpc)
        yield Pair(anvil, here, await _gateway(stack, settings, rpc))


async def _gateway(stack: AsyncExitStack, settings: GatewaySettings, rpc: Rpc) -> Authentication:
    async def owner() -> Address:
        return ADDRESS

    database = await stack.enter_async_context(open_database(settings.database_location))
    return authentication(
        settings,
        database,
        api_keys(settings, database),
        ContractWallets(rpc),
        PublicOrigins.of(["http://localhost:8001"]),
        chain_id=rpc.chain_id,
        owner=owner,
    )


def signed_now(nonce: str = "nonce-of-a-request-1", **headers: str) -> Credentials:
    return signed(WALLET, REQUEST, timestamp_s=int(time.time()), nonce=nonce, **headers)


async def test_identify__one_signed_request_at_both_at_once__works_once(pair: Pair) -> None:
    credentials = signed_now()
    attempts = [auth.identify(credentials) for auth in (pair.here, pair.there) for _ in range(10)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, Principal) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Unauthenticated) for outcome in outcomes) == 19


async def test_verify__one_login_at_both_at_once__makes_one_key_that_works_at_both(
    pair: Pair,
) -> None:
    text = (await pair.here.challenge(ADDRESS)).message
    signature = f"0x{sign(WALLET, signable(text)).hex()}"
    attempts = [
        auth.verify(text, signature, NO_SCOPES) for auth in (pair.here, pair.there) for _ in "12345"
    ]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    (made,) = [outcome for outcome in outcomes if isinstance(outcome, NewApiKey)]
    for auth in (pair.here, pair.there):
        assert (await auth.identify_key(made.secret)).account == account_of(ADDRESS)


async def test_identify__contract_wallet__is_an_account_of_its_own(pair: Pair) -> None:
    wallet = put_code(pair.anvil, new_wallet_address(), owned_by(ADDRESS))
    principal = await pair.here.identify(signed_now(X_Wallet_Address=wallet))
    assert principal is not None
    assert (principal.account, principal.address) == (account_of(wallet), wallet)
    with pytest.raises(Unauthenticated):
        await pair.there.identify(signed_now(X_Wallet_Address=wallet))
    stranger = put_code(pair.anvil, new_wallet_address(), owned_by(wallet))
    with pytest.raises(Unauthenticated):
        await pair.here.identify(signed_now("another-nonce-of-it", X_Wallet_Address=stranger))


async def test_verify__contract_wallet_not_deployed_yet__logs_in(pair: Pair) -> None:
    wallet = Undeployed.of(owned_by(ADDRESS))
    text = (await pair.here.challenge(wallet.address)).message
    proof = wallet.wrap(sign(WALLET, signable(text)))
    made = await pair.there.verify(text, f"0x{proof.hex()}", NO_SCOPES)
    assert made.key.account == account_of(wallet.address)
