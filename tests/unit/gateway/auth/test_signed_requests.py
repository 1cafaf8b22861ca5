"""Requests that a wallet signed: what holds, what does not, and that one text refuses them all."""

import asyncio
from dataclasses import replace

import pytest
from eth_account import Account

from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.request_auth import form_digest
from dvllm_gateway.errors import NetworkUnavailable, Unauthenticated
from dvllm_gateway.ids import account_of
from dvllm_gateway.services.identity import Credentials
from dvllm_gateway.services.principals import Method, Scope
from tests.support.auth_parts import NOW_S, REQUEST, AuthParts, bearer, signed, unsigned

WALLET = Account.from_key("0x" + "41" * 32)
OTHER = Account.from_key("0x" + "42" * 32)
ADDRESS = Address(WALLET.address)
CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def malleated(credentials: Credentials) -> str:
    """The same signature in its other spelling."""
    raw = bytes.fromhex(credentials.headers["Authorization"][len("Signature 0x") :])
    s = ORDER - int.from_bytes(raw[32:64], "big")
    return f"Signature 0x{(raw[:32] + s.to_bytes(32, 'big') + bytes([55 - raw[64]])).hex()}"


async def test_identify__no_credentials__nobody() -> None:
    assert await AuthParts().auth.identify(unsigned()) is None
    assert await AuthParts().auth.identify(unsigned(X_Wallet_Address=ADDRESS)) is None


async def test_identify__signed_request__the_wallet_and_what_anyone_may() -> None:
    parts = AuthParts()
    principal = await parts.auth.identify(signed(WALLET))
    assert principal is not None
    assert (principal.address, principal.account) == (ADDRESS, ADDRESS.lower())
    assert principal.scopes == {Scope.READ, Scope.INFER, Scope.WALLET}
    assert (principal.method, principal.key_id) == (Method.WALLET, None)
    assert parts.contracts.asked == []


async def test_identify__scheme_in_another_case__known() -> None:
    credentials = signed(WALLET)
    written = credentials.headers["Authorization"].replace("Signature", "SIGNATURE")
    assert await AuthParts().auth.identify(signed(WALLET, Authorization=written))


@pytest.mark.parametrize(
    "credentials",
    [
        signed(OTHER, X_Wallet_Address=ADDRESS),
        signed(WALLET, X_Wallet_Address="0x" + "0" * 40),
        signed(WALLET, X_Wallet_Address="vitalik.eth"),
        signed(WALLET, X_Wallet_Address=ADDRESS.swapcase().replace("0X", "0x")),
        signed(WALLET, X_Wallet_Nonce="another-nonce-of-it"),
        signed(WALLET, X_Wallet_Nonce="short"),
        signed(WALLET, X_Wallet_Timestamp=str(int(NOW_S) + 1)),
        signed(WALLET, timestamp_s=int(NOW_S) - 301),
        signed(WALLET, timestamp_s=int(NOW_S) + 301),
        signed(WALLET, replace(REQUEST, authority="evil.example:8001")),
        signed(WALLET, replace(REQUEST, target="/" + "a" * 9000)),
        signed(WALLET, Authorization=malleated(signed(WALLET))),
        signed(WALLET, Authorization="Signature 0x" + "00" * 65),
        signed(WALLET, Authorization="Signature 0x"),
        signed(WALLET, Authorization="Signature"),
        signed(WALLET, Authorization="Signature 0x" + "ab" * 4000),
        replace(signed(WALLET), request=replace(REQUEST, target="/api/tasks/submit")),
        replace(signed(WALLET), request=replace(REQUEST, method="PUT")),
        replace(signed(WALLET), request=replace(REQUEST, body_sha256="0" * 64)),
        replace(signed(WALLET), request=replace(REQUEST, authority="gateway.example")),
        replace(signed(WALLET), request=replace(REQUEST, target="/\udcff")),
        unsigned(Authorization="Basic dXNlcjpwYXNz"),
        unsigned(Authorization=""),
        bearer("dvk_abcdefgh_" + "A" * 43),
        bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiIweCJ9."),
    ],
)
async def test_identify__whatever_is_wrong__one_answer(credentials: Credentials) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await AuthParts().auth.identify(credentials)
    assert caught.value.message == "these credentials are not valid"
    assert caught.value.details == await _details_of_an_unknown_key()


async def _details_of_an_unknown_key() -> str:
    with pytest.raises(Unauthenticated) as caught:
        await AuthParts().auth.identify_key("dvk_abcdefgh_" + "B" * 43)
    return caught.value.details


@pytest.mark.parametrize("offset_s", [-300, 300])
async def test_identify__edge_of_the_window__holds(offset_s: int) -> None:
    assert await AuthParts().auth.identify(signed(WALLET, timestamp_s=int(NOW_S) + offset_s))


@pytest.mark.parametrize("authority", ["localhost:8001", "LOCALHOST:8001", "gateway.example:443"])
async def test_identify__any_public_name__holds(authority: str) -> None:
    assert await AuthParts().auth.identify(signed(WALLET, replace(REQUEST, authority=authority)))


async def test_identify__same_request_again__refused_also_by_another_process() -> None:
    here = AuthParts()
    there = AuthParts(request_nonces=here.request_nonces)
    await here.auth.identify(signed(WALLET))
    for auth in (here.auth, there.auth):
        with pytest.raises(Unauthenticated):
            await auth.identify(signed(WALLET))
    lower = signed(WALLET, X_Wallet_Address=ADDRESS.lower())
    with pytest.raises(Unauthenticated):  # in another spelling it is still the same
        await here.auth.identify(lower)


async def test_identify__same_nonce_in_parallel__one_passes() -> None:
    auth = AuthParts().auth
    attempts = [auth.identify(signed(WALLET)) for _ in range(20)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(not isinstance(outcome, Unauthenticated) for outcome in outcomes) == 1


async def test_identify__nonce_kept_until_its_window_has_closed() -> None:
    parts = AuthParts()
    late = signed(WALLET, timestamp_s=int(NOW_S) + 300)
    await parts.auth.identify(late)
    parts.clock.now_s += 600  # the last second at which the same request would be in the window
    await parts.auth.identify(signed(OTHER, timestamp_s=int(NOW_S) + 600))  # forgets old ones
    with pytest.raises(Unauthenticated):
        await parts.auth.identify(late)


async def test_identify__forged_request__does_not_use_up_the_wallets_nonce() -> None:
    auth = AuthParts().auth
    with pytest.raises(Unauthenticated):
        await auth.identify(signed(OTHER, X_Wallet_Address=ADDRESS))
    assert await auth.identify(signed(WALLET))


async def test_identify__contract_wallet__asked_with_its_own_signature() -> None:
    parts = AuthParts()
    contract = Address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")
    parts.contracts.accepted.add((contract, b"\x01\x02"))
    credentials = signed(WALLET, X_Wallet_Address=contract, Authorization="Signature 0x0102")
    principal = await parts.auth.identify(credentials)
    assert principal is not None
    assert principal.account == account_of(contract)
    with pytest.raises(Unauthenticated):
        await parts.auth.identify(credentials)  # its nonce counts as well


async def test_identify__only_a_contract_could_tell_and_chain_away__is_no_refusal() -> None:
    parts = AuthParts()
    parts.contracts.error = NetworkUnavailable("away")
    assert await parts.auth.identify(signed(WALLET))
    with pytest.raises(NetworkUnavailable):
        await parts.auth.identify(signed(OTHER, X_Wallet_Address=ADDRESS))


async def test_with_owner__wallet_of_the_owner__has_the_scope_for_this_request() -> None:
    parts = AuthParts(owner=ADDRESS)
    principal = await parts.auth.identify(signed(WALLET))
    assert principal is not None
    assert Scope.OWNER not in principal.scopes
    assert Scope.OWNER in (await parts.auth.with_owner(principal)).scopes
    parts.owner = Address(OTHER.address)
    assert Scope.OWNER not in (await parts.auth.with_owner(principal)).scopes


async def test_with_owner__api_key_of_the_owner__is_not_enough() -> None:
    parts = AuthParts(owner=ADDRESS, operators=frozenset({account_of(ADDRESS)}))
    made = await parts.keys.create(account_of(ADDRESS), frozenset({Scope.DEPLOY}))
    principal = await parts.auth.identify_key(made.secret)
    assert Scope.OWNER not in (await parts.auth.with_owner(principal)).scopes


async def test_with_owner__chain_away__says_so() -> None:
    parts = AuthParts(chain_error=NetworkUnavailable("away"))
    principal = await parts.auth.identify(signed(WALLET))
    assert principal is not None
    with pytest.raises(NetworkUnavailable):
        await parts.auth.with_owner(principal)


async def test_identify__operator__may_more() -> None:
    parts = AuthParts(operators=frozenset({account_of(ADDRESS)}))
    principal = await parts.auth.identify(signed(WALLET))
    assert principal is not None
    assert {Scope.NODE, Scope.DEPLOY} <= principal.scopes


FIELDS = {"modelId": "llama", "name": "Llama", "description": "ä"}


def test_check_content__what_was_signed__holds() -> None:
    digest = form_digest(FIELDS, CID)
    AuthParts().auth.check_content(digest, FIELDS, CID)
    AuthParts().auth.check_content(digest.upper(), FIELDS, CID)


@pytest.mark.parametrize(
    ("claimed", "fields", "cid"),
    [
        ("", FIELDS, CID),
        ("\udcff", FIELDS, CID),
        ("ü" * 64, FIELDS, CID),
        (form_digest(FIELDS, CID), FIELDS | {"modelId": "other"}, CID),
        (form_digest(FIELDS, CID), {**FIELDS, "more": "x"}, CID),
        (form_digest(FIELDS, CID), FIELDS, Cid(CID[:-1] + "a")),
        (form_digest(FIELDS, CID), FIELDS | {"name": "\udcff"}, CID),
    ],
)
def test_check_content__anything_else__refused(
    claimed: str, fields: dict[str, str], cid: Cid
) -> None:
    with pytest.raises(Unauthenticated):
        AuthParts().auth.check_content(claimed, fields, cid)
