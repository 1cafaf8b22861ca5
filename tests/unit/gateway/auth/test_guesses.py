"""Wrong credentials count for the address they come from, before anything is read."""

from dataclasses import replace

import pytest

from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest
from dvllm_gateway.errors import RateLimited, Unauthenticated
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.auth import Authentication
from dvllm_gateway.services.guesses import GUESSES, Guesses
from dvllm_gateway.services.ports import Rate
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.state.memory_auth import MemoryApiKeyStore
from tests.support.auth_parts import AuthParts, bearer

WRONG = "dvk_abcdefgh_" + "B" * 43
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def store() -> MemoryApiKeyStore:
    return MemoryApiKeyStore()


@pytest.fixture
def parts(store: MemoryApiKeyStore) -> AuthParts:
    return AuthParts(key_store=store, guesses=Rate(3, 60))


async def guess(auth: Authentication, address: str = HERE, secret: str = WRONG) -> None:
    await auth.identify(replace(bearer(secret), address=address))


async def exhaust(auth: Authentication) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await guess(auth)


async def test_guesses__too_many__are_refused_without_a_look(
    parts: AuthParts, store: MemoryApiKeyStore
) -> None:
    await exhaust(parts.auth)
    n_reads = store.n_reads
    for _ in range(100):
        with pytest.raises(RateLimited) as refused:
            await guess(parts.auth)
        assert refused.value.retry_after_s
    with pytest.raises(RateLimited):
        await parts.auth.identify_key(WRONG, address=HERE)
    assert store.n_reads == n_reads


async def test_guesses__of_another_address__are_its_own(parts: AuthParts) -> None:
    await exhaust(parts.auth)
    with pytest.raises(Unauthenticated):
        await guess(parts.auth, THERE)


async def test_guesses__a_while_later__are_looked_at_again(parts: AuthParts) -> None:
    await exhaust(parts.auth)
    parts.clock.now_s += 120
    with pytest.raises(Unauthenticated):
        await guess(parts.auth)


async def test_guesses__right_ones__count_for_nothing(parts: AuthParts) -> None:
    made = await parts.keys.create(AccountId("alice"), frozenset({Scope.READ}))
    for _ in range(50):
        await guess(parts.auth, secret=made.secret)
    with pytest.raises(Unauthenticated):
        await guess(parts.auth)


async def test_guesses__no_credentials__count_for_nothing(parts: AuthParts) -> None:
    await exhaust(parts.auth)
    request = HttpRequest("localhost:8001", "GET", "/", body_digest(b""))
    nothing = replace(bearer(WRONG), headers={}, request=request, address=HERE)
    assert await parts.auth.identify(nothing) is None


async def test_guesses__by_default__are_some_in_a_minute() -> None:
    guesses = Guesses()
    for _ in range(GUESSES.n_calls):
        await guesses.check(HERE)
        await guesses.note(HERE)
    with pytest.raises(RateLimited):
        await guesses.check(HERE)
