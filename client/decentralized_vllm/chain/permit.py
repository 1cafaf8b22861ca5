"""Signs EIP-2612 permits with a local key."""

from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.permits import (
    Permit,
    SignedPermit,
    TokenDomain,
    permit_message,
)


def sign_permit(account: LocalAccount, domain: TokenDomain, permit: Permit) -> SignedPermit:
    signed = account.sign_message(permit_message(domain, permit))
    return SignedPermit(
        value_wei=permit.value_wei,
        deadline_s=permit.deadline_s,
        v=signed.v,
        r=signed.r.to_bytes(32, "big"),
        s=signed.s.to_bytes(32, "big"),
    )
