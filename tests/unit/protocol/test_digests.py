"""The digests equal what Solidity computes; the vectors say what that is."""

import pytest
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.digests import delivered_digest, request_digest
from tests.support import vectors

CASES = vectors.load("digests")["cases"]


def words(*parts: bytes) -> bytes:
    return b"".join(part.rjust(32, b"\0") for part in parts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["job_id"][:6])
def test_request_digest__vector__matches(case):
    digest = request_digest(
        int(case["job_id"]),
        case["requester"],
        case["prompt_cid"],
        case["model_id"],
        case["model_cid"],
    )
    assert digest == vectors.unhex(case["request_digest"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["job_id"][:6])
def test_request_digest__vector__is_the_hash_of_five_words(case):
    encoded = words(
        int(case["job_id"]).to_bytes(32, "big"),
        vectors.unhex(case["requester"]),
        keccak(case["prompt_cid"].encode()),
        keccak(case["model_id"].encode()),
        keccak(case["model_cid"].encode()),
    )
    assert keccak(encoded) == vectors.unhex(case["request_digest"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["job_id"][:6])
def test_delivered_digest__vector__matches(case):
    request = vectors.unhex(case["request_digest"])
    price = int(case["price_wei"])
    expected = vectors.unhex(case["delivered_digest"])
    assert delivered_digest(request, case["response_cid"], price) == expected
    encoded = words(request, keccak(case["response_cid"].encode()), price.to_bytes(32, "big"))
    assert keccak(encoded) == expected
