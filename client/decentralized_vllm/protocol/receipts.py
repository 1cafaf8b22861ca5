"""Receipts: a node's EIP-712 statement of which answer it gave to which request, for what usage.

The receipt travels inside the response document, so it can not sign that document's CID. It signs
`bodyDigest` instead: keccak256 of the document's canonical JSON without its `receipt` field. The
CID on chain then covers body and receipt together.
"""

from dataclasses import dataclass
from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.base import BaseAccount

from decentralized_vllm.protocol.errors import InvalidReceipt, InvalidSignature
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, JobId
from decentralized_vllm.protocol.signatures import signer_of

DOMAIN_NAME = "decentralized-vllm"
DOMAIN_VERSION = "1"
RECEIPT_FIELDS = (
    ("uint256", "jobId"),
    ("bytes32", "requestDigest"),
    ("bytes32", "bodyDigest"),
    ("uint32", "inputTokens"),
    ("uint32", "outputTokens"),
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a job lives: what a signature is bound to, so that it means nothing elsewhere."""

    chain_id: int
    coordinator: Address


@dataclass(frozen=True, slots=True)
class InferenceReceipt:
    job_id: JobId
    request_digest: bytes
    body_digest: bytes
    usage: Usage


def sign_receipt(receipt: InferenceReceipt, deployment: Deployment, account: BaseAccount) -> bytes:
    """65 bytes r ‖ s ‖ v, with low s and v 27 or 28."""
    return bytes(account.sign_message(signable(receipt, deployment)).signature)


def verify_receipt(
    receipt: InferenceReceipt, deployment: Deployment, signature: bytes, node: Address
) -> None:
    """Raises InvalidReceipt unless `node` signed exactly this."""
    try:
        signer = signer_of(signable(receipt, deployment), signature)
    except InvalidSignature as error:
        raise InvalidReceipt(f"the receipt: {error.message}") from error
    if signer != node:
        raise InvalidReceipt(f"the receipt was signed by {signer}, not by {node}")


def signable(receipt: InferenceReceipt, deployment: Deployment) -> SignableMessage:
    message: dict[str, Any] = {
        "jobId": receipt.job_id,
        "requestDigest": receipt.request_digest,
        "bodyDigest": receipt.body_digest,
        "inputTokens": receipt.usage.n_prompt_tokens,
        "outputTokens": receipt.usage.n_output_tokens,
    }
    fields = [{"type": kind, "name": name} for kind, name in RECEIPT_FIELDS]
    return encode_typed_data(domain_of(deployment), {"Receipt": fields}, message)


def domain_of(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": DOMAIN_NAME,
        "version": DOMAIN_VERSION,
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.coordinator,
    }
