"""EIP-2612: what an owner signs so that a spender may draw tokens in the same transaction."""

from dataclasses import dataclass

from eth_account.messages import SignableMessage, encode_typed_data

from decentralized_vllm.protocol.ids import Address, Wei

_FIELDS = [
    {"name": "owner", "type": "address"},
    {"name": "spender", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]


@dataclass(frozen=True, slots=True)
class TokenDomain:
    """EIP-712 domain of a token: where and for what a permit counts."""

    name: str
    version: str
    chain_id: int
    token: Address


@dataclass(frozen=True, slots=True)
class Permit:
    """`nonce` is the owner's next one in the token; `deadline_s` is the last second it counts."""

    owner: Address
    spender: Address
    value_wei: Wei
    nonce: int
    deadline_s: int


@dataclass(frozen=True, slots=True)
class SignedPermit:
    value_wei: Wei
    deadline_s: int
    v: int
    r: bytes
    s: bytes

    @property
    def arguments(self) -> tuple[int, int, int, bytes, bytes]:
        """In the order of depositWithPermit and stakeWithPermit."""
        return self.value_wei, self.deadline_s, self.v, self.r, self.s


def permit_message(domain: TokenDomain, permit: Permit) -> SignableMessage:
    return encode_typed_data(
        {
            "name": domain.name,
            "version": domain.version,
            "chainId": domain.chain_id,
            "verifyingContract": domain.token,
        },
        {"Permit": _FIELDS},
        {
            "owner": permit.owner,
            "spender": permit.spender,
            "value": permit.value_wei,
            "nonce": permit.nonce,
            "deadline": permit.deadline_s,
        },
    )
