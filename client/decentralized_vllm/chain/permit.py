"""Signs EIP-2612 permits and EIP-3009 authorizations with a local key."""

from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.authorizations import (
    Authorization,
    SignedAuthorization,
    authorization_message,
)
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


def sign_authorization(
    account: LocalAccount, domain: TokenDomain, authorization: Authorization
) -> SignedAuthorization:
    signed = account.sign_message(authorization_message(domain, authorization))
    return SignedAuthorization(
        authorization,
        v=signed.v,
        r=signed.r.to_bytes(32, "big"),
        s=signed.s.to_bytes(32, "big"),
    )
