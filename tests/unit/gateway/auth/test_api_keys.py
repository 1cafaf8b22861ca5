"""API keys: their form, what is kept of them, and how fast they stop working."""

import re
from dataclasses import replace

import pytest

from dvllm_gateway.errors import Forbidden, NotFound, Unauthenticated
from dvllm_gateway.ids import AccountId, KeyId
from dvllm_gateway.services.principal_cache import MAX_KEYS, PrincipalCache
from dvllm_gateway.services.principals import Method, Principal, Scope
from dvllm_gateway.services.stores import StoredKey
from dvllm_gateway.state.memory_auth import MemoryApiKeyStore
from tests.support.auth_parts import NOW_S, AuthParts, bearer

TEAM = AccountId("team-7")
WALLET_ACCOUNT = AccountId("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")
NO_SCOPES: frozenset[Scope] = frozenset()


class RecordingKeyStore(MemoryApiKeyStore):
    """Keeps what it was given, as a thief of the database would find it."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[StoredKey] = []

    async def add(self, stored: StoredKey) -> bool:
        self.added.append(stored)
        return await super().add(stored)


async def test_create__new_key__has_the_form_and_the_default_scopes() -> None:
    made = await AuthParts().keys.create(TEAM, NO_SCOPES)
    assert re.fullmatch(r"dvk_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}", made.secret)
    assert made.secret[4:12] == made.key.id
    assert made.key.scopes == {Scope.READ, Scope.INFER}
    assert (made.key.created_at_ms, made.key.last_used_at_ms) == (int(NOW_S * 1000), None)


async def test_create__twice__different_keys() -> None:
    keys = AuthParts().keys
    first, second = await keys.create(TEAM, NO_SCOPES), await keys.create(TEAM, NO_SCOPES)
    assert first.key.id != second.key.id
    assert first.secret[13:] != second.secret[13:]


async def test_create__what_is_kept__holds_nothing_of_the_secret() -> None:
    store = RecordingKeyStore()
    made = await AuthParts(key_store=store).keys.create(TEAM, NO_SCOPES)
    assert len(store.added[0].hash) == 32
    assert made.secret[13:] not in repr(store.added)


async def test_create__id_taken__draws_another() -> None:
    class FullOnce(RecordingKeyStore):
        async def add(self, stored: StoredKey) -> bool:
            self.added.append(stored)
            return len(self.added) > 1

    store = FullOnce()
    made = await AuthParts(key_store=store).keys.create(TEAM, NO_SCOPES)
    assert [stored.key.id for stored in store.added][1] == made.key.id
    assert store.added[0].key.id != made.key.id


@pytest.mark.parametrize("scope", [Scope.NODE, Scope.DEPLOY, Scope.OWNER])
async def test_create__scope_of_operators__refused_to_others(scope: Scope) -> None:
    with pytest.raises(Forbidden, match=scope):
        await AuthParts().keys.create(TEAM, frozenset({Scope.READ, scope}))


async def test_create__operator__may_have_all_but_owner() -> None:
    keys = AuthParts(operators=frozenset({TEAM})).keys
    all_but_owner = frozenset(Scope) - {Scope.OWNER}
    assert (await keys.create(TEAM, all_but_owner)).key.scopes == all_but_owner
    with pytest.raises(Forbidden):
        await keys.create(TEAM, frozenset({Scope.OWNER}))


async def test_identify__key__names_its_account() -> None:
    parts = AuthParts()
    made = await parts.keys.create(WALLET_ACCOUNT, frozenset({Scope.READ}))
    principal = await parts.auth.identify(bearer(made.secret))
    assert principal is not None
    assert principal.account == WALLET_ACCOUNT
    assert principal.address == "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    assert principal.scopes == {Scope.READ}
    assert (principal.method, principal.key_id) == (Method.API_KEY, made.key.id)


async def test_identify__account_with_a_name__has_no_address() -> None:
    parts = AuthParts()
    made = await parts.keys.create(TEAM, NO_SCOPES)
    assert (await parts.auth.identify_key(made.secret)).address is None


async def test_identify__any_character_of_the_key_changed__refused() -> None:
    parts = AuthParts()
    secret = (await parts.keys.create(TEAM, NO_SCOPES)).secret
    await parts.auth.identify_key(secret)  # also when the right one was seen just now
    for place in range(len(secret)):
        other = "A" if secret[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            await parts.auth.identify_key(secret[:place] + other + secret[place + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dvk_",
        "sk-1234567890",
        "header.payload.signature",
        "dvk_abcdefgh_" + "A" * 42,
        "dvk_abcdefgh_" + "A" * 44,
        "dvk_abcdefgh_" + "A" * 43 + "\n",
        "dvk_abcdefgh_" + "Ä" * 43,
        "dvk_abcdefgh_" + "A" * 100_000,
        "dvk_abcdefgh_" + "\udcff" * 43,
    ],
)
async def test_identify__no_key_at_all__refused_before_the_database(text: str) -> None:
    parts = AuthParts()
    with pytest.raises(Unauthenticated):
        await parts.auth.identify_key(text)
    assert isinstance(parts.key_store, MemoryApiKeyStore)
    assert parts.key_store.n_reads == 0


async def test_identify__other_server_secret__refused() -> None:
    """A stolen database is of no use to a server with another secret, and the reverse."""
    parts = AuthParts()
    made = await parts.keys.create(TEAM, NO_SCOPES)
    found = await parts.key_store.find(made.key.id)
    assert found is not None
    other = AuthParts()
    await other.key_store.add(replace(found, hash=bytes(32)))
    with pytest.raises(Unauthenticated):
        await other.auth.identify_key(made.secret)


async def test_identify__many_calls__read_and_noted_seldom() -> None:
    store = MemoryApiKeyStore()
    parts = AuthParts(key_store=store)
    made = await parts.keys.create(TEAM, NO_SCOPES)
    for _ in range(100):  # 50 seconds
        await parts.auth.identify_key(made.secret)
        parts.clock.now_s += 0.5
    assert store.n_reads <= 26
    assert store.n_uses == 1
    parts.clock.now_s += 60
    await parts.auth.identify_key(made.secret)
    assert store.n_uses == 2
    (listed,) = await parts.keys.list(TEAM)
    assert listed.last_used_at_ms == int(parts.clock.now_s * 1000)


async def test_revoke__own_process__at_once() -> None:
    parts = AuthParts()
    made = await parts.keys.create(TEAM, NO_SCOPES)
    await parts.auth.identify_key(made.secret)
    await parts.keys.revoke(TEAM, made.key.id)
    with pytest.raises(Unauthenticated):
        await parts.auth.identify_key(made.secret)
    assert await parts.keys.list(TEAM) == ()


async def test_revoke__other_process__within_two_seconds_however_busy_the_key_is() -> None:
    here = AuthParts()
    there = AuthParts(key_store=here.key_store, clock=here.clock)
    made = await here.keys.create(TEAM, NO_SCOPES)
    await there.auth.identify_key(made.secret)
    await here.keys.revoke(TEAM, made.key.id)
    for _ in range(15):
        here.clock.now_s += 0.125
        await there.auth.identify_key(made.secret)
    here.clock.now_s += 0.125
    with pytest.raises(Unauthenticated):
        await there.auth.identify_key(made.secret)


async def test_revoke__somebody_elses_or_unknown_or_again__not_found() -> None:
    keys = AuthParts().keys
    made = await keys.create(TEAM, NO_SCOPES)
    for account, key_id in [(WALLET_ACCOUNT, made.key.id), (TEAM, KeyId("unknown1"))]:
        with pytest.raises(NotFound):
            await keys.revoke(account, key_id)
    await keys.revoke(TEAM, made.key.id)
    with pytest.raises(NotFound):
        await keys.revoke(TEAM, made.key.id)


async def test_identify__no_longer_an_operator__key_loses_the_scopes() -> None:
    before = AuthParts(operators=frozenset({TEAM}))
    made = await before.keys.create(TEAM, frozenset({Scope.READ, Scope.NODE}))
    after = AuthParts(key_store=before.key_store)
    assert (await after.auth.identify_key(made.secret)).scopes == {Scope.READ}


def test_cache__full__lets_the_oldest_go() -> None:
    cache = PrincipalCache()
    someone = Principal(TEAM, frozenset(), Method.API_KEY)
    for number in range(MAX_KEYS + 1):
        cache.put(KeyId(str(number)), bytes(32), someone)
    assert cache.get(KeyId("0")) is None
    assert cache.get(KeyId("1")) is not None


class NoNulStore(MemoryApiKeyStore):
    """As PostgreSQL, whose text holds no U+0000."""

    async def revoke(self, account: AccountId, key_id: KeyId) -> bool:
        assert "\0" not in key_id
        return await super().revoke(account, key_id)


@pytest.mark.parametrize("key_id", ["", "a\0b", "abcdefg\0", "x" * 9, "abcdefg-", "abcdefg\n"])
async def test_revoke__of_what_is_no_key_s_id__not_found_without_the_database(key_id: str) -> None:
    keys = AuthParts(key_store=NoNulStore()).keys
    with pytest.raises(NotFound):
        await keys.revoke(TEAM, KeyId(key_id))
