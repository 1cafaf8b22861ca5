"""Receipts: a node's EIP-712 statement of which answer it gave to which request, for what usage.

The receipt travels inside the response document, so it can not sign that document's CID. It signs
`bodyDigest` instead: keccak256 of the document's canonical JSON without its `receipt` field. The
CID on chain then covers body and receipt together.
"""

from dataclasses import dataclass
from functools import lru_cache

from eth_account.messages import SignableMessage
from eth_account.signers.base import BaseAccount
from eth_utils.crypto import keccak

from decentralized_vllm.protocol import words
from decentralized_vllm.protocol.errors import InvalidReceipt, InvalidSignature
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, JobId
from decentralized_vllm.protocol.signatures import signer_of

DOMAIN_NAME = "decentralized-vllm"
DOMAIN_VERSION = "1"
DOMAIN_FIELDS = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)
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
    """EIP-712's two hashes. The domain's is the same for every receipt of a deployment."""
    members = (
        _RECEIPT_TYPE,
        words.number(receipt.job_id),
        receipt.request_digest,
        receipt.body_digest,
        words.number(receipt.usage.n_prompt_tokens),
        words.number(receipt.usage.n_output_tokens),
    )
    return SignableMessage(b"\x01", _domain_hash(deployment), keccak(b"".join(members)))


@lru_cache(maxsize=16)
def _domain_hash(deployment: Deployment) -> bytes:
    members = (
        _DOMAIN_TYPE,
        words.text_digest(DOMAIN_NAME),
        words.text_digest(DOMAIN_VERSION),
        words.number(deployment.chain_id),
        words.address(deployment.coordinator),
    )
    return keccak(b"".join(members))


def _type_hash(name: str, fields: tuple[tuple[str, str], ...]) -> bytes:
    members = ",".join(f"{kind} {field}" for kind, field in fields)
    return keccak(f"{name}({members})".encode())


_RECEIPT_TYPE = _type_hash("Receipt", RECEIPT_FIELDS)
_DOMAIN_TYPE = _type_hash("EIP712Domain", DOMAIN_FIELDS)
