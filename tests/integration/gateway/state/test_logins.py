"""API keys and nonces: found while they count, spent once."""

import asyncio

from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.ids import AccountId, KeyId
from dvllm_gateway.services.identity import ApiKey
from dvllm_gateway.services.principals import Scope
from dvllm_gateway.services.stores import IssuedNonce, StoredKey
from dvllm_gateway.state import (
    Database,
    SqlApiKeyStore,
    SqlLoginNonceStore,
    SqlRequestNonceStore,
)
from tests.support.gateway_tasks import ALICE, BOB, NODE, SENDER


def stored_key(name: str = "abcd1234", account: AccountId = BOB, at_ms: int = 1) -> StoredKey:
    key = ApiKey(KeyId(name), account, frozenset({Scope.READ, Scope.INFER}), at_ms, None)
    return StoredKey(key, bytes(range(32)))


async def test_key__added__is_found_as_it_was(database: Database) -> None:
    keys = SqlApiKeyStore(database)
    assert await keys.add(stored_key())
    assert await keys.find(KeyId("abcd1234")) == stored_key()
    assert await keys.find(KeyId("other")) is None


async def test_key__id_taken__is_refused_and_the_first_stands(database: Database) -> None:
    keys = SqlApiKeyStore(database)
    await keys.add(stored_key())
    assert not await keys.add(stored_key(account=ALICE))
    assert await keys.find(KeyId("abcd1234")) == stored_key()


async def test_key__revoked__is_gone_and_its_id_stays_taken(database: Database) -> None:
    keys = SqlApiKeyStore(database)
    await keys.add(stored_key())
    assert not await keys.revoke(ALICE, KeyId("abcd1234"))
    assert await keys.revoke(BOB, KeyId("abcd1234"))
    assert not await keys.revoke(BOB, KeyId("abcd1234"))
    assert await keys.find(KeyId("abcd1234")) is None
    assert await keys.list(BOB) == ()
    assert not await keys.add(stored_key())


async def test_key__several__listed_oldest_first_with_their_use(database: Database) -> None:
    keys = SqlApiKeyStore(database)
    for name, at_ms in (("late", 9), ("early", 3)):
        await keys.add(stored_key(name, at_ms=at_ms))
    await keys.add(stored_key("foreign", ALICE))
    await keys.note_use(KeyId("late"), 50)
    found = await keys.list(BOB)
    assert [(key.id, key.last_used_at_ms) for key in found] == [("early", None), ("late", 50)]


async def test_request_nonce__used_in_parallel__counts_once(database: Database) -> None:
    nonces = SqlRequestNonceStore(database)
    spent = await asyncio.gather(
        *(nonces.spend(SENDER, "n" * 64, now_ms=0, until_ms=100) for _ in range(20))
    )
    assert sorted(spent) == [False] * 19 + [True]
    assert await nonces.spend(NODE, "n" * 64, now_ms=0, until_ms=100)


async def test_request_nonce__given_back__counts_again_and_once(database: Database) -> None:
    nonces = SqlRequestNonceStore(database)
    assert await nonces.spend(SENDER, "n", now_ms=0, until_ms=100)
    assert await nonces.spend(NODE, "n", now_ms=0, until_ms=100)
    await nonces.give_back(SENDER, "n")
    spent = [await nonces.spend(SENDER, "n", now_ms=0, until_ms=100) for _ in range(2)]
    assert spent == [True, False]
    assert not await nonces.spend(NODE, "n", now_ms=0, until_ms=100)


async def test_request_nonce__its_time_over__is_forgotten(database: Database) -> None:
    nonces = SqlRequestNonceStore(database)
    assert await nonces.spend(SENDER, "n", now_ms=0, until_ms=100)
    assert not await nonces.spend(SENDER, "n", now_ms=100, until_ms=200)
    assert await nonces.spend(SENDER, "n", now_ms=101, until_ms=200)


async def test_login_nonce__taken_in_parallel__is_given_once(database: Database) -> None:
    nonces = SqlLoginNonceStore(database)
    issued = IssuedNonce("abcdefgh", Address(SENDER), 100)
    await nonces.issue(issued, now_ms=0)
    taken = await asyncio.gather(*(nonces.take("abcdefgh") for _ in range(20)))
    assert [nonce for nonce in taken if nonce is not None] == [issued]


async def test_login_nonce__expired__is_forgotten_with_the_next(database: Database) -> None:
    nonces = SqlLoginNonceStore(database)
    await nonces.issue(IssuedNonce("old", Address(SENDER), 100), now_ms=0)
    await nonces.issue(IssuedNonce("new", Address(SENDER), 300), now_ms=101)
    assert await nonces.take("old") is None
    assert await nonces.take("new") is not None
