"""HTTP requests signed by a wallet: an EIP-191 message over everything that makes the request.

    dvllm-request
    <authority the caller used, lower case>
    <METHOD>
    <PATH?QUERY exactly as sent>
    <sha256 hex of the raw body>
    <timestamp, Unix seconds>
    <nonce>

Headers: `Authorization: Signature 0x…`, `X-Wallet-Address`, `X-Wallet-Timestamp`, `X-Wallet-Nonce`.
Whoever verifies also keeps (address, nonce) until the window closes, and refuses it twice.

A body too large to be read first is a form: its digest line is `form_digest`, which the header
`X-Content-Digest` repeats, so that the signature is checked before the first byte of the files.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from eth_account.messages import SignableMessage
from eth_account.signers.base import BaseAccount

from decentralized_vllm.protocol.canonical_json import encode
from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address, Cid
from decentralized_vllm.protocol.signatures import signer_of

WINDOW_S = 300
MAX_TARGET_CHARACTERS = 8192
MAX_SIGNATURE_BYTES = 3072  # a wallet that is a contract takes other ones than a key's 65 bytes

_TITLE = "dvllm-request"
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_SCHEME = "signature "
_SIGNATURE = re.compile(rf"0x(?:[0-9a-fA-F]{{2}}){{1,{MAX_SIGNATURE_BYTES}}}")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What the signature covers of a request. `target` is path and query exactly as sent."""

    authority: str
    method: str
    target: str
    body_sha256: str


@dataclass(frozen=True, slots=True)
class RequestSignature:
    """What a caller adds to a request. `address` is the claim that `verify` proves."""

    address: Address
    timestamp_s: int
    nonce: str
    signature: bytes


def body_digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def form_digest(fields: Mapping[str, str], cid: Cid) -> str:
    """Stands for the body of a form: its text fields, and the root of the directory of its files.

    Raises InvalidDocument for text that has no UTF-8.
    """
    return hashlib.sha256(encode({**fields, "cid": cid})).hexdigest()


def signed_headers(
    request: HttpRequest, account: BaseAccount, *, timestamp_s: int, nonce: str
) -> dict[str, str]:
    """The headers that make `request` the wallet's own."""
    signed = account.sign_message(_message(request, timestamp_s, nonce))
    return {
        "Authorization": f"Signature 0x{bytes(signed.signature).hex()}",
        "X-Wallet-Address": account.address,
        "X-Wallet-Timestamp": str(timestamp_s),
        "X-Wallet-Nonce": nonce,
    }


def read_headers(headers: Mapping[str, str]) -> RequestSignature:
    """Reads the four headers; `headers` is case-insensitive. Raises InvalidSignature."""
    authorization = headers.get("Authorization", "")
    if not authorization.lower().startswith(_SCHEME):
        raise InvalidSignature("Authorization: must be `Signature 0x…`")
    signature = authorization[len(_SCHEME) :].strip()
    if not _SIGNATURE.fullmatch(signature):
        raise InvalidSignature("Authorization: a signature is bytes in hex")
    nonce = headers.get("X-Wallet-Nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise InvalidSignature("X-Wallet-Nonce: must be 16 to 64 url-safe characters")
    timestamp = headers.get("X-Wallet-Timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise InvalidSignature("X-Wallet-Timestamp: must be Unix seconds")
    address = Address(headers.get("X-Wallet-Address", ""))
    return RequestSignature(address, int(timestamp), nonce, bytes.fromhex(signature[2:]))


def verify(
    request: HttpRequest,
    proof: RequestSignature,
    *,
    now_s: float,
    authorities: Collection[str],
) -> Address:
    """The address whose key signed this very request within the window. Raises InvalidSignature."""
    check_bounds(request, proof, now_s=now_s, authorities=authorities)
    signer = signer_of(signed_message(request, proof), proof.signature)
    if signer.lower() != proof.address.lower():
        raise InvalidSignature("X-Wallet-Address: another address signed this request")
    return signer


def check_bounds(
    request: HttpRequest,
    proof: RequestSignature,
    *,
    now_s: float,
    authorities: Collection[str],
) -> None:
    """All that a signature is bound to but its signer.

    `authorities` are the names under which this server is called; a request that was signed for
    another server means nothing here. Raises InvalidSignature.
    """
    if request.authority.lower() not in authorities:
        raise InvalidSignature(f"Host: {request.authority} is not a name of this server")
    if len(request.target) > MAX_TARGET_CHARACTERS or not request.target.isascii():
        raise InvalidSignature("the path is too long to be signed, or not as URLs are written")
    if abs(now_s - proof.timestamp_s) > WINDOW_S:
        raise InvalidSignature(f"X-Wallet-Timestamp: more than {WINDOW_S} s from now")


def signed_message(request: HttpRequest, proof: RequestSignature) -> SignableMessage:
    return _message(request, proof.timestamp_s, proof.nonce)


def canonical_text(request: HttpRequest, timestamp_s: int, nonce: str) -> str:
    lines = (
        _TITLE,
        request.authority.lower(),
        request.method.upper(),
        request.target,
        request.body_sha256,
        str(timestamp_s),
        nonce,
    )
    return "\n".join(lines)


def _message(request: HttpRequest, timestamp_s: int, nonce: str) -> SignableMessage:
    """What EIP-191 calls version E: a text that wallets show before they sign it."""
    text = canonical_text(request, timestamp_s, nonce).encode()
    return SignableMessage(b"E", b"thereum Signed Message:\n%d" % len(text), text)
