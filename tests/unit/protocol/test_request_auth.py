"""Requests signed by a wallet."""

import hashlib
from dataclasses import replace

import pytest
from eth_account import Account

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.request_auth import (
    MAX_SIGNATURE_BYTES,
    WINDOW_S,
    HttpRequest,
    RequestSignature,
    body_digest,
    canonical_text,
    form_digest,
    read_headers,
    signed_headers,
    verify,
)

ACCOUNT = Account.from_key("0x" + "11" * 32)
NOW_S = 1_700_000_000
NONCE = "abcdefghij-_0123456789"
REQUEST = HttpRequest("node.example:8080", "GET", "/jobs/7/events?from=0", body_digest(b""))
CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
AUTHORITIES = ("node.example:8080",)


def proof_of(request: HttpRequest = REQUEST) -> RequestSignature:
    return read_headers(signed_headers(request, ACCOUNT, timestamp_s=NOW_S, nonce=NONCE))


def test_canonical_text__has_no_final_line_feed_and_lower_case_authority() -> None:
    request = replace(REQUEST, authority="Node.Example:8080", method="get")
    assert canonical_text(request, NOW_S, NONCE) == (
        "dvllm-request\nnode.example:8080\nGET\n/jobs/7/events?from=0\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
        f"{NOW_S}\n{NONCE}"
    )


def test_verify__own_request__names_the_signer() -> None:
    assert verify(REQUEST, proof_of(), now_s=NOW_S, authorities=AUTHORITIES) == ACCOUNT.address


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"target": "/jobs/8/events?from=0"},
        {"target": "/jobs/7/events"},
        {"body_sha256": body_digest(b"x")},
    ],
)
def test_verify__any_part_changed__refused(change: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature, match="another address"):
        verify(replace(REQUEST, **change), proof_of(), now_s=NOW_S, authorities=AUTHORITIES)


@pytest.mark.parametrize("change", [{"timestamp_s": NOW_S + 1}, {"nonce": "another-nonce-of-20c"}])
def test_verify__timestamp_or_nonce_changed__refused(change: dict[str, int | str]) -> None:
    proof = replace(proof_of(), **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidSignature, match="another address"):
        verify(REQUEST, proof, now_s=NOW_S, authorities=AUTHORITIES)


def test_verify__signed_for_another_server__refused() -> None:
    other = replace(REQUEST, authority="evil.example")
    with pytest.raises(InvalidSignature, match="not a name of this server"):
        verify(other, proof_of(other), now_s=NOW_S, authorities=AUTHORITIES)
    with pytest.raises(InvalidSignature, match="another address"):
        verify(REQUEST, proof_of(other), now_s=NOW_S, authorities=AUTHORITIES)


@pytest.mark.parametrize("skew_s", [WINDOW_S + 1, -WINDOW_S - 1])
def test_verify__outside_the_window__refused(skew_s: int) -> None:
    with pytest.raises(InvalidSignature, match="X-Wallet-Timestamp"):
        verify(REQUEST, proof_of(), now_s=NOW_S + skew_s, authorities=AUTHORITIES)


@pytest.mark.parametrize("skew_s", [WINDOW_S, -WINDOW_S])
def test_verify__last_second_of_the_window__accepted(skew_s: int) -> None:
    assert verify(REQUEST, proof_of(), now_s=NOW_S + skew_s, authorities=AUTHORITIES)


def test_verify__mirrored_s__refused() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    proof = proof_of()
    mirrored = order - int.from_bytes(proof.signature[32:64], "big")
    twin = proof.signature[:32] + mirrored.to_bytes(32, "big") + bytes([55 - proof.signature[64]])
    with pytest.raises(InvalidSignature, match="lower half"):
        verify(REQUEST, replace(proof, signature=twin), now_s=NOW_S, authorities=AUTHORITIES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer abc"),
        ("Authorization", "Signature 0x123"),
        ("Authorization", ""),
        ("X-Wallet-Nonce", "short"),
        ("X-Wallet-Nonce", "with a space in it"),
        ("X-Wallet-Timestamp", "-1"),
        ("X-Wallet-Timestamp", "now"),
    ],
)
def test_read_headers__broken_header__named(name: str, value: str) -> None:
    headers = signed_headers(REQUEST, ACCOUNT, timestamp_s=NOW_S, nonce=NONCE)
    with pytest.raises(InvalidSignature, match=name):
        read_headers({**headers, name: value})


def test_verify__address_in_another_case__accepted() -> None:
    proof = proof_of()
    lower = replace(proof, address=type(proof.address)(proof.address.lower()))
    assert verify(REQUEST, lower, now_s=NOW_S, authorities=AUTHORITIES) == ACCOUNT.address


def test_verify__signature_of_another_length__refused() -> None:
    proof = replace(proof_of(), signature=bytes(64))
    with pytest.raises(InvalidSignature, match="65 bytes"):
        verify(REQUEST, proof, now_s=NOW_S, authorities=AUTHORITIES)


def test_read_headers__signature_of_a_contract__read_up_to_its_limit() -> None:
    headers = signed_headers(REQUEST, ACCOUNT, timestamp_s=NOW_S, nonce=NONCE)
    longest = "ab" * MAX_SIGNATURE_BYTES
    read = read_headers(headers | {"Authorization": f"Signature 0x{longest}"})
    assert read.signature == bytes.fromhex(longest)
    with pytest.raises(InvalidSignature):
        read_headers(headers | {"Authorization": f"Signature 0x{longest}ab"})


def test_form_digest__order_of_fields__makes_no_difference_but_texts_and_files_do() -> None:
    digest = form_digest({"modelId": "m", "name": "n"}, CID)
    assert digest == form_digest({"name": "n", "modelId": "m"}, CID)
    assert (
        digest
        == hashlib.sha256(b'{"cid":"%b","modelId":"m","name":"n"}' % CID.encode()).hexdigest()
    )
    assert digest != form_digest({"modelId": "m", "name": "o"}, CID)
    assert digest != form_digest({"modelId": "m", "name": "n"}, Cid(CID[:-1] + "a"))
