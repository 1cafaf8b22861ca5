"""One signature, one spelling: what is accepted as a signature, and whose it is."""

from eth_account import Account
from eth_account.messages import SignableMessage
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError as KeyValidationError

from decentralized_vllm.protocol.errors import InvalidSignature
from decentralized_vllm.protocol.ids import Address

SIGNATURE_BYTES = 65
_HALF_OF_CURVE_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def signer_of(message: SignableMessage, signature: bytes) -> Address:
    """Raises InvalidSignature for one that is malformed or recovers to no address."""
    _check_form(signature)
    try:
        signer: str = Account.recover_message(message, signature=signature)
    except (BadSignature, KeyValidationError, ValueError) as error:
        raise InvalidSignature("the signature recovers to no address") from error
    return Address(signer)


def digest_of(message: SignableMessage) -> bytes:
    """The 32 bytes that are signed: what a wallet that is a contract is asked about (EIP-1271)."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def _check_form(signature: bytes) -> None:
    """The other s and the short v would verify as well, so a replay could look new."""
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature(f"a signature has 65 bytes, not {len(signature)}")
    if not 0 < int.from_bytes(signature[32:64], "big") <= _HALF_OF_CURVE_ORDER:
        raise InvalidSignature("the signature's s is not in the lower half of the curve order")
    if signature[64] not in (27, 28):
        raise InvalidSignature(f"the signature's v is {signature[64]}, not 27 or 28")
