"""Bodies of top-ups (ours): payments that a wallet signs and the gateway puts on chain."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from decentralized_vllm.protocol.authorizations import (
    Authorization,
    AuthorizationKind,
    SignedAuthorization,
)
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.permits import SignedPermit
from dvllm_gateway.dialects.dvllm.schemas import WalletAddress
from dvllm_gateway.dialects.dvllm.wire import Wire
from dvllm_gateway.ids import read_address
from dvllm_gateway.services.top_ups import PermittedTransfer, SignedPayment

WeiText = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,77})$", description="wei, decimal")]
Seconds = Annotated[int, Field(ge=0, description="Unix seconds")]
Signature = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{130}$")]


class AuthorizationBody(Wire):
    """EIP-3009, of the network's token."""

    type: Literal["ReceiveWithAuthorization", "TransferWithAuthorization"]
    sender: Annotated[WalletAddress, Field(alias="from")]
    to: WalletAddress
    value: WeiText
    valid_after: Seconds
    valid_before: Seconds
    nonce: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]


class PermitBody(Wire):
    """EIP-2612, of the network's token; its spender is the payee."""

    owner: WalletAddress
    value: WeiText
    deadline: Seconds


class TopUpBody(Wire):
    """One of `authorization` and `permit`, with the owner's signature over it."""

    authorization: AuthorizationBody | None = None
    permit: PermitBody | None = None
    signature: Signature

    @model_validator(mode="after")
    def _says_one(self) -> "TopUpBody":
        if (self.authorization is None) == (self.permit is None):
            raise ValueError("state either authorization or permit")
        return self

    def payment(self) -> SignedPayment:
        """Raises InvalidRequest for an address with a wrong checksum."""
        signed = bytes.fromhex(self.signature[2:])
        r, s, v = signed[:32], signed[32:64], signed[64]
        if self.authorization is not None:
            return SignedAuthorization(_authorization(self.authorization), v, r, s)
        assert self.permit is not None
        permit = SignedPermit(Wei(int(self.permit.value)), self.permit.deadline, v, r, s)
        return PermittedTransfer(read_address(self.permit.owner), permit)


class TopUpReply(Wire):
    """`pending` needs nobody to wait: the credit follows when it is mined."""

    transaction_hash: str
    account: str
    amount: str
    amount_wei: str
    status: Literal["credited", "pending"]


def _authorization(body: AuthorizationBody) -> Authorization:
    return Authorization(
        kind=AuthorizationKind(body.type),
        owner=read_address(body.sender),
        to=read_address(body.to),
        value_wei=Wei(int(body.value)),
        valid_after_s=body.valid_after,
        valid_before_s=body.valid_before,
        nonce=bytes.fromhex(body.nonce[2:]),
    )
