"""EIP-4361 messages: the examples of the standard, every broken form, and random ones."""

from dataclasses import replace

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.signatures import digest_of, signer_of
from decentralized_vllm.protocol.siwe import (
    MAX_MESSAGE_CHARACTERS,
    SiweMessage,
    instant_s,
    parse,
    signable,
)

# The example of EIP-4361; the standard gives it three first lines.
EXAMPLE = """example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json"""
EXAMPLE_READ = SiweMessage(
    domain="example.com",
    address=Address("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"),
    uri="https://example.com/login",
    chain_id=1,
    nonce="32891756",
    issued_at="2021-09-30T16:25:24Z",
    statement="I accept the ExampleOrg Terms of Service: https://example.com/tos",
    resources=(
        "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
        "https://example.com/my-web2-claim.json",
    ),
)
FULL = EXAMPLE.replace(
    "\nResources",
    "\nExpiration Time: 2021-09-30T17:25:24.500+01:00"
    "\nNot Before: 2021-09-30T16:25:24Z\nRequest ID: some_id%20x\nResources",
)


@pytest.mark.parametrize(
    ("first", "scheme", "domain"),
    [
        ("example.com", None, "example.com"),
        ("example.com:3388", None, "example.com:3388"),
        ("https://example.com", "https", "example.com"),
        ("me@127.0.0.1:8080", None, "me@127.0.0.1:8080"),
        ("[::1]:80", None, "[::1]:80"),
    ],
)
def test_parse__example_of_the_standard__reads_and_writes_back(
    first: str, scheme: str | None, domain: str
) -> None:
    text = EXAMPLE.replace("example.com", first, 1)
    assert parse(text) == replace(EXAMPLE_READ, scheme=scheme, domain=domain)
    assert parse(text).text() == text


def test_parse__no_statement__is_two_empty_lines() -> None:
    text = EXAMPLE.replace(f"{EXAMPLE_READ.statement}\n", "")
    assert "Cc2\n\n\nURI" in text
    assert parse(text) == replace(EXAMPLE_READ, statement=None)
    assert parse(text).text() == text


def test_parse__every_optional_field__read() -> None:
    message = parse(FULL)
    assert message.expiration_time == "2021-09-30T17:25:24.500+01:00"
    assert (message.not_before, message.request_id) == ("2021-09-30T16:25:24Z", "some_id%20x")
    assert message.text() == FULL


def test_instant__offsets_and_fractions__counted() -> None:
    assert instant_s("1970-01-01T01:00:00.250+01:00") == 0.25
    assert instant_s("1970-01-01t00:00:00z") == 0


LINES = FULL.split("\n")


@pytest.mark.parametrize("number", [n for n in range(10) if n != 3])
def test_parse__mandatory_line_missing__refused(number: int) -> None:
    with pytest.raises(InvalidSignature):
        parse("\n".join(LINES[:number] + LINES[number + 1 :]))


@pytest.mark.parametrize("number", range(5, 12))
def test_parse__lines_out_of_order__refused(number: int) -> None:
    swapped = [*LINES[: number + 1], LINES[number + 2], LINES[number + 1], *LINES[number + 3 :]]
    with pytest.raises(InvalidSignature):
        parse("\n".join(swapped))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("example.com wants", " wants"),
        ("example.com wants", "example.com/path wants"),
        ("example.com wants", "exa mple.com wants"),
        ("example.com wants", "https:// wants"),
        ("wants you", "Wants you"),
        ("0xC02a", "0xc02a"),  # the checksum of EIP-55
        (
            "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
            "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        ),
        ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "vitalik.eth"),
        ("I accept", "I\naccept"),
        ("I accept", "I\taccept"),
        ("I accept", "I “accept”"),
        ("I accept", "I\\accept"),
        ("URI: https", "URI: _https"),
        ("URI: https://example.com/login", "URI: /login"),
        ("URI: https://example.com/login", "URI: https://example.com/log in"),
        ("URI: https://example.com/login", "URI: https://example.com/%zz"),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: ?"),
        ("Chain ID: 1", "Chain ID: -1"),
        ("Chain ID: 1", "Chain ID: ١"),
        ("Chain ID: 1", "Chain ID: " + "9" * 79),
        ("Nonce: 32891756", "Nonce: 3289175"),
        ("Nonce: 32891756", "Nonce: 3289175_"),
        ("2021-09-30T16:25:24Z\nEx", "Wed Oct 05 2011 16:48:00 GMT+0200\nEx"),
        ("2021-09-30T16:25:24Z\nEx", "2021-09-30 16:25:24Z\nEx"),
        ("2021-09-30T16:25:24Z\nEx", "2021-09-30T16:25:24\nEx"),
        ("2021-09-30T16:25:24Z\nEx", "2021-02-30T16:25:24Z\nEx"),
        ("2021-09-30T16:25:24Z\nEx", "2021-09-30T25:25:24Z\nEx"),
        ("17:25:24.500+01:00", "17:25:24.500+25:00"),
        ("Not Before: 2021-09", "Not Before: 2021-13"),
        ("some_id%20x", "some id"),
        ("Resources:\n", "Resources:"),
        ("\n- ipfs", " - ipfs"),
        ("- https://example.com/my", "- my"),
        ("my-web2-claim.json", "my-web2-claim.json\n"),
        ("\n", "\r\n"),
    ],
)
def test_parse__broken_form__refused(old: str, new: str) -> None:
    broken = FULL.replace(old, new)
    assert broken != FULL
    with pytest.raises(InvalidSignature):
        parse(broken)


def test_parse__longer_than_any_login__refused() -> None:
    filler = "a" * (MAX_MESSAGE_CHARACTERS - len(FULL))
    assert parse(FULL.replace("I accept", f"I accept{filler}"))
    with pytest.raises(InvalidSignature):
        parse(FULL.replace("I accept", f"I accept{filler}a"))


@pytest.mark.parametrize(
    "change",
    [
        {"statement": "Welcome\n\nURI: https://evil.example"},
        {"uri": "https://example.com/login\nVersion: 1"},
        {"domain": "example.com wants you to sign in with your Ethereum account:\n0x"},
        {"resources": ("https://example.com\n- https://evil.example",)},
        {"nonce": "short"},
        {"chain_id": -1},
        {"address": Address("0x0")},
    ],
)
def test_text__field_that_would_make_another_message__refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidSignature):
        replace(EXAMPLE_READ, **change).text()  # type: ignore[arg-type]


TEXT = st.text("abcXYZ019-._~:/?#[]@!$&'()*+,;= ", max_size=60)
URIS = st.from_regex(r"[a-z][a-z0-9+.-]{0,6}:[A-Za-z0-9/?#@:.-]{0,30}", fullmatch=True)
TIMES = st.datetimes().map(lambda time: f"{time.replace(microsecond=0).isoformat()}Z")
MESSAGES = st.builds(
    SiweMessage,
    domain=st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
    address=st.binary(min_size=20, max_size=20).map(lambda raw: Address(to_checksum_address(raw))),
    uri=URIS,
    chain_id=st.integers(0, 2**256 - 1),
    nonce=st.from_regex(r"[A-Za-z0-9]{8,40}", fullmatch=True),
    issued_at=TIMES,
    scheme=st.none() | st.sampled_from(["https", "http"]),
    statement=st.none() | TEXT,
    expiration_time=st.none() | TIMES,
    not_before=st.none() | TIMES,
    request_id=st.none() | st.from_regex(r"[A-Za-z0-9._~:@-]{0,20}", fullmatch=True),
    resources=st.none() | st.lists(URIS, max_size=4).map(tuple),
)


@given(MESSAGES)
def test_parse__whatever_was_written__reads_the_same(message: SiweMessage) -> None:
    assert parse(message.text()) == message


@given(st.text(max_size=400))
def test_parse__any_text__reads_or_refuses(text: str) -> None:
    with pytest.raises(InvalidSignature):
        parse(text)


@given(MESSAGES, st.integers(0, 400), st.text(min_size=1, max_size=3))
def test_parse__one_place_disturbed__reads_what_was_disturbed_or_refuses(
    message: SiweMessage, place: int, noise: str
) -> None:
    text = message.text()
    disturbed = text[:place] + noise + text[place + 1 :]
    try:
        read = parse(disturbed)
    except InvalidSignature:
        return
    assert read.text() == disturbed


def test_signable__login__is_signed_as_wallets_do() -> None:
    account = Account.from_key("0x" + "22" * 32)
    signed = account.sign_message(signable(EXAMPLE))
    assert signer_of(signable(EXAMPLE), bytes(signed.signature)) == account.address
    assert digest_of(signable(EXAMPLE)) == bytes(signed.message_hash)
