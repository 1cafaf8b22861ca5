"""EIP-3009: what an owner signs so that somebody else may have tokens transferred, once."""

from dataclasses import dataclass
from enum import StrEnum

from eth_account.messages import SignableMessage, encode_typed_data

from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.permits import TokenDomain

NONCE_BYTES = 32

_FIELDS = [
    {"name": "from", "type": "address"},
    {"name": "to", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "validAfter", "type": "uint256"},
    {"name": "validBefore", "type": "uint256"},
    {"name": "nonce", "type": "bytes32"},
]


class AuthorizationKind(StrEnum):
    """The name of the signed type: only the payee may carry out a RECEIVE, anybody a TRANSFER."""

    RECEIVE = "ReceiveWithAuthorization"
    TRANSFER = "TransferWithAuthorization"


@dataclass(frozen=True, slots=True)
class Authorization:
    """Counts while `valid_after_s` < chain time < `valid_before_s`; `nonce` is any 32 bytes that
    the owner did not use before."""

    kind: AuthorizationKind
    owner: Address
    to: Address
    value_wei: Wei
    valid_after_s: int
    valid_before_s: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class SignedAuthorization:
    authorization: Authorization
    v: int
    r: bytes
    s: bytes


def authorization_message(domain: TokenDomain, authorization: Authorization) -> SignableMessage:
    return encode_typed_data(
        {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": domain.token,
        },
        {authorization.kind.value: _FIELDS},
        {
            "from": authorization.owner,
            "to": authorization.to,
            "value": authorization.value_wei,
            "validAfter": authorization.valid_after_s,
            "validBefore": authorization.valid_before_s,
            "nonce": authorization.nonce,
        },
    )
