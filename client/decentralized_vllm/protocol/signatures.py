"""One signature, one spelling: how messages are signed, and whose an accepted signature is.

libsecp256k1 is asked directly: eth_account parses the key anew for each signature, which costs
three times as much as the signature itself.
"""

from functools import lru_cache

from coincurve import PrivateKey, PublicKey
from eth_account import Account
from eth_account.datastructures import SignedMessage
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey as AccountKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address

SIGNATURE_BYTES = 65
_FIRST_V = 27
ADDRESSES_KEPT = 4096
_HALF_OF_CURVE_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class PreparedAccount(LocalAccount):
    """An account with a key that signs many messages."""

    def __init__(self, account: LocalAccount) -> None:
        super().__init__(AccountKey(bytes(account.key)), Account())
        self._prepared = PrivateKey(bytes(account.key))

    def sign_message(self, signable_message: SignableMessage) -> SignedMessage:
        digest = digest_of(signable_message)
        signature = sign_digest(self._prepared, digest)
        return SignedMessage(
            message_hash=HexBytes(digest),
            r=int.from_bytes(signature[:32], "big"),
            s=int.from_bytes(signature[32:64], "big"),
            v=signature[64],
            signature=HexBytes(signature),
        )


def sign_digest(key: PrivateKey, digest: bytes) -> bytes:
    """65 bytes r ‖ s ‖ v, with low s and v 27 or 28."""
    signature: bytes = key.sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([signature[64] + _FIRST_V])


def signer_of(message: SignableMessage, signature: bytes) -> Address:
    """Raises InvalidSignature for one that is malformed or recovers to no address."""
    _check_form(signature)
    recoverable = signature[:64] + bytes([signature[64] - _FIRST_V])
    try:
        key = PublicKey.from_signature_and_message(recoverable, digest_of(message), hasher=None)
    except ValueError as error:
        raise InvalidSignature("the signature recovers to no address") from error
    return _address_of(key.format(compressed=False))


def digest_of(message: SignableMessage) -> bytes:
    """The 32 bytes that are signed: what a wallet that is a contract is asked about (EIP-1271)."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def _check_form(signature: bytes) -> None:
    """The other s and the short v would verify as well, so a replay could look new."""
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature(f"a signature has 65 bytes, not {len(signature)}")
    if not 0 < int.from_bytes(signature[32:64], "big") <= _HALF_OF_CURVE_ORDER:
        raise InvalidSignature("the signature's s is not in the lower half of the curve order")
    if signature[64] not in (_FIRST_V, _FIRST_V + 1):
        raise InvalidSignature(f"the signature's v is {signature[64]}, not 27 or 28")


@lru_cache(maxsize=ADDRESSES_KEPT)
def _address_of(public_key: bytes) -> Address:
    """The same few sign again and again."""
    return Address(to_checksum_address(keccak(public_key[1:])[12:]))
