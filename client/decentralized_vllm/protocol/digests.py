"""The two digests of a job that the coordinator keeps instead of its texts; equal to Solidity's."""

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, Wei


def request_digest(
    job_id: JobId, requester: Address, prompt_cid: Cid, model_id: ModelId, model_cid: Cid
) -> bytes:
    """Names one request, also after a re-organisation gave its number to another.

    keccak256(abi.encode(jobId, requester, keccak256(promptCID), keccak256(modelId),
    keccak256(modelCID))).
    """
    return keccak(
        encode(
            ["uint256", "address", "bytes32", "bytes32", "bytes32"],
            [
                job_id,
                requester,
                text_digest(prompt_cid),
                text_digest(model_id),
                text_digest(model_cid),
            ],
        )
    )


def delivered_digest(request: bytes, response_cid: Cid, price_wei: Wei) -> bytes:
    """What a job's digest becomes at delivery.

    keccak256(abi.encode(requestDigest, keccak256(responseCID), price)).
    """
    return keccak(
        encode(["bytes32", "bytes32", "uint256"], [request, text_digest(response_cid), price_wei])
    )


def text_digest(text: str) -> bytes:
    return keccak(text.encode())
