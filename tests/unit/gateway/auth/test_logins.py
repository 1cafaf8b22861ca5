"""Logging a wallet in: what a signed message must say, and that each nonce works once."""

import asyncio
from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.siwe import parse, signable
from dvllm_gateway.errors import Forbidden, NetworkUnavailable, Unauthenticated
from dvllm_gateway.ids import account_of
from dvllm_gateway.services.identity import NewApiKey
from dvllm_gateway.services.principals import Scope
from tests.support.auth_parts import CHAIN_ID, NOW_S, AuthParts

WALLET = Account.from_key("0x" + "51" * 32)
OTHER = Account.from_key("0x" + "52" * 32)
ADDRESS = Address(WALLET.address)
NO_SCOPES: frozenset[Scope] = frozenset()
EVIL = "https://evil.example"


def signature_of(account: LocalAccount, text: str) -> str:
    return f"0x{bytes(account.sign_message(signable(text)).signature).hex()}"


async def log_in(parts: AuthParts, account: LocalAccount = WALLET, **changes: object) -> NewApiKey:
    """Asks for a challenge, signs it with `changes`, and sends it back."""
    message = parse((await parts.auth.challenge(ADDRESS)).message)
    text = replace(message, **changes).text()  # type: ignore[arg-type]
    return await parts.auth.verify(text, signature_of(account, text), NO_SCOPES)


async def test_challenge__message__is_ours_for_this_wallet_now() -> None:
    challenge = await AuthParts().auth.challenge(ADDRESS)
    message = parse(challenge.message)
    assert (message.domain, message.uri) == ("localhost:8001", "http://localhost:8001")
    assert (message.address, message.chain_id) == (ADDRESS, CHAIN_ID)
    assert (message.nonce, len(message.nonce)) == (challenge.nonce, 32)
    assert message.issued_at == "2023-11-14T22:13:20Z"
    assert message.expiration_time == "2023-11-14T22:18:20Z"
    assert challenge.expires_at_ms == int(NOW_S + 300) * 1000


async def test_verify__signed_challenge__makes_a_key_that_works() -> None:
    parts = AuthParts()
    made = await log_in(parts)
    assert made.key.scopes == {Scope.READ, Scope.INFER}
    principal = await parts.auth.identify_key(made.secret)
    assert (principal.account, principal.address) == (account_of(ADDRESS), ADDRESS)


@pytest.mark.parametrize(
    "change",
    [
        {"statement": None},
        {"statement": "I rent a GPU"},
        {"request_id": "7"},
        {"resources": (EVIL,)},
        {"scheme": "http"},
        {"domain": "gateway.example", "uri": "https://gateway.example/login?next=%2F"},
        {"domain": "gateway.example:443", "scheme": "https"},
        {"expiration_time": None},
        {"not_before": "2023-11-14T22:13:20Z"},
        {"issued_at": "2023-11-14T23:13:20.5+01:00"},
        {"issued_at": "2023-11-14T22:14:19Z"},  # a clock that is a little ahead
    ],
)
async def test_verify__message_of_the_clients_making__holds(change: dict[str, object]) -> None:
    assert (await log_in(AuthParts(), **change)).key.account == account_of(ADDRESS)


@pytest.mark.parametrize(
    "change",
    [
        {"domain": "evil.example"},
        {"domain": "localhost:8002"},
        {"domain": "localhost"},
        {"domain": "localhost:8001@evil.example"},
        {"domain": "me@localhost:8001"},
        {"scheme": "https"},
        {"uri": EVIL},
        {"uri": "https://localhost:8001"},
        {"uri": "http://localhost:8001@evil.example"},
        {"uri": "http://localhost:8001.evil.example"},
        {"uri": "mailto:me@localhost"},
        {"uri": "http://localhost:99999"},
        {"chain_id": 1},
        {"nonce": "0" * 32},
        {"issued_at": "2023-11-14T22:08:19Z"},
        {"issued_at": "2023-11-14T22:14:21Z"},
        {"expiration_time": "2023-11-14T22:13:20Z"},
        {"not_before": "2023-11-14T22:13:21Z"},
        {"address": Address(OTHER.address)},
    ],
)
async def test_verify__message_that_is_not_for_here_and_now__refused(
    change: dict[str, object],
) -> None:
    account = OTHER if "address" in change else WALLET
    with pytest.raises(Unauthenticated, match="these credentials are not valid"):
        await log_in(AuthParts(), account, **change)


async def test_verify__signed_by_another__refused_and_the_nonce_is_gone() -> None:
    parts = AuthParts()
    text = (await parts.auth.challenge(ADDRESS)).message
    for account in (OTHER, WALLET):
        with pytest.raises(Unauthenticated):
            await parts.auth.verify(text, signature_of(account, text), NO_SCOPES)


async def test_verify__twice_also_at_once__one_key() -> None:
    parts = AuthParts()
    text = (await parts.auth.challenge(ADDRESS)).message
    signature = signature_of(WALLET, text)
    attempts = [parts.auth.verify(text, signature, NO_SCOPES) for _ in range(10)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, NewApiKey) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Unauthenticated) for outcome in outcomes) == 9
    assert len(await parts.keys.list(account_of(ADDRESS))) == 1


async def test_verify__five_minutes_later__refused() -> None:
    parts = AuthParts()
    message = parse((await parts.auth.challenge(ADDRESS)).message)
    parts.clock.now_s += 300
    text = replace(message, expiration_time=None, issued_at="2023-11-14T22:18:20Z").text()
    with pytest.raises(Unauthenticated):
        await parts.auth.verify(text, signature_of(WALLET, text), NO_SCOPES)


async def test_verify__login_begun_at_another_process__holds() -> None:
    here = AuthParts()
    there = AuthParts(login_nonces=here.login_nonces, key_store=here.key_store)
    text = (await here.auth.challenge(ADDRESS)).message
    assert await there.auth.verify(text, signature_of(WALLET, text), NO_SCOPES)


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        ("", "0x00"),
        ("hello", "0x00"),
        ("\udcff", "\udcff"),
        ("a" * 1_000_000, "0x" + "0" * 1_000_000),
        (None, ""),
        (None, "0x"),
        (None, "0x0"),
        (None, "00" * 65),
        (None, "0x" + "00" * 65),
        (None, "0x" + "zz" * 65),
        (None, "0x" + "ab" * 4000),
    ],
)
async def test_verify__no_login_at_all__refused(message: str | None, signature: str) -> None:
    parts = AuthParts()
    text = (await parts.auth.challenge(ADDRESS)).message if message is None else message
    with pytest.raises(Unauthenticated):
        await parts.auth.verify(text, signature, NO_SCOPES)


async def test_verify__short_recovery_byte__is_what_some_wallets_write() -> None:
    parts = AuthParts()
    text = (await parts.auth.challenge(ADDRESS)).message
    signature = bytes.fromhex(signature_of(WALLET, text)[2:])
    short = signature[:-1] + bytes([signature[-1] - 27])
    assert await parts.auth.verify(text, f"0x{short.hex()}", NO_SCOPES)


async def test_verify__scopes__as_wished_where_allowed() -> None:
    parts = AuthParts()
    text = (await parts.auth.challenge(ADDRESS)).message
    wished = frozenset({Scope.READ, Scope.WALLET})
    made = await parts.auth.verify(text, signature_of(WALLET, text), wished)
    assert made.key.scopes == wished


@pytest.mark.parametrize("scope", [Scope.NODE, Scope.DEPLOY, Scope.OWNER])
async def test_verify__scope_of_others__forbidden(scope: Scope) -> None:
    parts = AuthParts(owner=ADDRESS)
    text = (await parts.auth.challenge(ADDRESS)).message
    with pytest.raises(Forbidden):
        await parts.auth.verify(text, signature_of(WALLET, text), frozenset({scope}))


async def test_verify__contract_wallet__logs_in() -> None:
    parts = AuthParts()
    text = (await parts.auth.challenge(ADDRESS)).message
    parts.contracts.accepted.add((ADDRESS, b"\x01"))
    assert await parts.auth.verify(text, "0x01", NO_SCOPES)


async def test_verify__only_a_contract_could_tell_and_chain_away__is_no_refusal() -> None:
    parts = AuthParts()
    parts.contracts.error = NetworkUnavailable("away")
    text = (await parts.auth.challenge(ADDRESS)).message
    with pytest.raises(NetworkUnavailable):
        await parts.auth.verify(text, "0x01", NO_SCOPES)
