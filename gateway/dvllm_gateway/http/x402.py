"""The x402 protocol's headers, version 2, of its scheme `exact` with EIP-3009."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from decentralized_vllm.protocol.authorizations import (
    Authorization,
    AuthorizationKind,
    SignedAuthorization,
)
from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.ids import read_address
from dvllm_gateway.services.payments import PaymentTerms
from dvllm_gateway.services.top_ups import TopUp

PAYMENT_REQUIRED = "PAYMENT-REQUIRED"
PAYMENT_SIGNATURE = "PAYMENT-SIGNATURE"
PAYMENT_RESPONSE = "PAYMENT-RESPONSE"

VERSION = 2
SCHEME = "exact"
MAX_HEADER_CHARACTERS = 8_000

_Number = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,77})$")]


class _Authorization(BaseModel):
    sender: Annotated[str, Field(alias="from")]
    to: str
    value: _Number
    valid_after: Annotated[_Number, Field(alias="validAfter")]
    valid_before: Annotated[_Number, Field(alias="validBefore")]
    nonce: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{64}$")]


class _Payload(BaseModel):
    authorization: _Authorization
    signature: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{130}$")]


class _Accepted(BaseModel):
    scheme: str
    network: str


class _Payment(BaseModel):
    """What it says beyond these fields changes nothing: the signature covers what counts."""

    model_config = ConfigDict(strict=True)

    x402_version: Annotated[Literal[2], Field(alias="x402Version")]
    accepted: _Accepted
    payload: _Payload


def required_header(terms: PaymentTerms, url: str, reason: str) -> str:
    return _encoded(
        {
            "x402Version": VERSION,
            "error": reason,
            "resource": {"url": url, "mimeType": "application/json"},
            "accepts": [
                {
                    "scheme": SCHEME,
                    "network": _network(terms),
                    "asset": terms.token.token,
                    "amount": str(terms.amount_wei),
                    "payTo": terms.payee,
                    "maxTimeoutSeconds": terms.timeout_s,
                    "extra": {"name": terms.token.name, "version": terms.token.version},
                }
            ],
        }
    )


def response_header(paid: TopUp, terms: PaymentTerms) -> str:
    return _encoded(
        {
            "success": True,
            "payer": read_address(paid.account),
            "transaction": paid.tx_hash,
            "network": _network(terms),
            "amount": str(paid.amount_wei),
        }
    )


def read_payment(header: str, terms: PaymentTerms) -> SignedAuthorization:
    """Raises InvalidRequest."""
    payment = _decoded(header)
    if (payment.accepted.scheme, payment.accepted.network) != (SCHEME, _network(terms)):
        raise InvalidRequest("this scheme or network is not taken", field=PAYMENT_SIGNATURE)
    signed, what = bytes.fromhex(payment.payload.signature[2:]), payment.payload.authorization
    authorization = Authorization(
        kind=AuthorizationKind.TRANSFER,
        owner=read_address(what.sender),
        to=read_address(what.to),
        value_wei=Wei(int(what.value)),
        valid_after_s=int(what.valid_after),
        valid_before_s=int(what.valid_before),
        nonce=bytes.fromhex(what.nonce[2:]),
    )
    return SignedAuthorization(authorization, signed[64], signed[:32], signed[32:64])


def _decoded(header: str) -> _Payment:
    if len(header) > MAX_HEADER_CHARACTERS:
        raise InvalidRequest("the payment is too long", field=PAYMENT_SIGNATURE)
    try:
        return _Payment.model_validate_json(base64.b64decode(header, validate=True))
    except (binascii.Error, ValidationError, ValueError):
        raise InvalidRequest("this is no payment of x402", field=PAYMENT_SIGNATURE) from None


def _encoded(message: Mapping[str, object]) -> str:
    return base64.b64encode(orjson.dumps(message)).decode()


def _network(terms: PaymentTerms) -> str:
    return f"eip155:{terms.token.chain_id}"
