"""Receipts: who signed what, and no second spelling of a signature."""

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.errors import InvalidReceipt
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.receipts import (
    RECEIPT_FIELDS,
    Deployment,
    InferenceReceipt,
    sign_receipt,
    signable,
    verify_receipt,
)
from decentralized_vllm.protocol.signatures import PreparedAccount
from tests.support import vectors

VECTORS = vectors.load("receipts")
NODE = Account.from_key(VECTORS["private_key"])
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def receipt_of(case):
    receipt = InferenceReceipt(
        int(case["job_id"]),
        vectors.unhex(case["request_digest"]),
        vectors.unhex(case["body_digest"]),
        Usage(case["input_tokens"], case["output_tokens"]),
    )
    return receipt, Deployment(case["chain_id"], case["coordinator"])


def signing_hash(case):
    """EIP-712 word by word."""
    domain_type = (
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    receipt_type = (
        b"Receipt(uint256 jobId,bytes32 requestDigest,bytes32 bodyDigest,"
        b"uint32 inputTokens,uint32 outputTokens)"
    )
    domain = [
        keccak(domain_type),
        keccak(b"decentralized-vllm"),
        keccak(b"1"),
        case["chain_id"].to_bytes(32, "big"),
        vectors.unhex(case["coordinator"]).rjust(32, b"\0"),
    ]
    receipt = [
        keccak(receipt_type),
        int(case["job_id"]).to_bytes(32, "big"),
        vectors.unhex(case["request_digest"]),
        vectors.unhex(case["body_digest"]),
        case["input_tokens"].to_bytes(32, "big"),
        case["output_tokens"].to_bytes(32, "big"),
    ]
    return keccak(b"\x19\x01" + keccak(b"".join(domain)) + keccak(b"".join(receipt)))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["chain_id"]))
def test_sign_receipt__vector__matches_and_verifies(case):
    receipt, deployment = receipt_of(case)
    signature = sign_receipt(receipt, deployment, NODE)
    assert signature == vectors.unhex(case["signature"])
    verify_receipt(receipt, deployment, signature, VECTORS["node"])


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["chain_id"]))
def test_receipt__vector__is_signed_as_eip_712_says(case):
    digest = signing_hash(case)
    assert digest == vectors.unhex(case["signing_hash"])
    assert NODE.unsafe_sign_hash(digest).signature == vectors.unhex(case["signature"])


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["chain_id"]))
def test_signable__vector__is_what_wallets_make_of_it(case):
    receipt, deployment = receipt_of(case)
    fields = [{"type": kind, "name": name} for kind, name in RECEIPT_FIELDS]
    values = (
        receipt.job_id,
        receipt.request_digest,
        receipt.body_digest,
        receipt.usage.n_prompt_tokens,
        receipt.usage.n_output_tokens,
    )
    message = {name: value for (_, name), value in zip(RECEIPT_FIELDS, values, strict=True)}
    domain = {
        "name": "decentralized-vllm",
        "version": "1",
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.coordinator,
    }
    typed = encode_typed_data(domain, {"Receipt": fields}, message)
    assert signable(receipt, deployment) == typed


def test_prepared_account__signs_as_the_account_itself():
    receipt, deployment = receipt_of(VECTORS["cases"][0])
    message = signable(receipt, deployment)
    prepared = PreparedAccount(NODE)
    assert prepared.sign_message(message) == NODE.sign_message(message)
    assert prepared.address == NODE.address


def changes():
    receipt, deployment = receipt_of(VECTORS["cases"][0])
    other = bytes(32)
    usage = receipt.usage
    yield receipt, Deployment(1, deployment.coordinator)
    yield receipt, Deployment(deployment.chain_id, NODE.address)
    for changed in (
        InferenceReceipt(2, receipt.request_digest, receipt.body_digest, usage),
        InferenceReceipt(1, other, receipt.body_digest, usage),
        InferenceReceipt(1, receipt.request_digest, other, usage),
        InferenceReceipt(1, receipt.request_digest, receipt.body_digest, Usage(13, 34)),
        InferenceReceipt(1, receipt.request_digest, receipt.body_digest, Usage(12, 35)),
    ):
        yield changed, deployment


@pytest.mark.parametrize(("receipt", "deployment"), list(changes()))
def test_verify_receipt__any_field_changed__is_refused(receipt, deployment):
    signature = vectors.unhex(VECTORS["cases"][0]["signature"])
    with pytest.raises(InvalidReceipt, match="was signed by"):
        verify_receipt(receipt, deployment, signature, NODE.address)


def malformed():
    signature = vectors.unhex(VECTORS["cases"][0]["signature"])
    r, s, v = signature[:32], signature[32:64], signature[64]
    high = (CURVE_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
    yield "high s", r + high + bytes([55 - v])
    yield "short v", r + s + bytes([v - 27])
    yield "64 bytes", r + s
    yield "zero s", r + bytes(32) + bytes([v])
    yield "zero r", bytes(32) + s + bytes([v])
    yield "r beyond the curve", b"\xff" * 32 + s + bytes([v])
    yield "empty", b""


@pytest.mark.parametrize(("name", "signature"), list(malformed()))
def test_verify_receipt__malformed_signature__is_refused(name, signature):
    receipt, deployment = receipt_of(VECTORS["cases"][0])
    with pytest.raises(InvalidReceipt):
        verify_receipt(receipt, deployment, signature, NODE.address)
