"""The two digests of a job that the coordinator keeps instead of its texts; equal to Solidity's."""

from eth_utils.crypto import keccak

from decentralized_vllm.protocol import words
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, Wei


def request_digest(
    job_id: JobId, requester: Address, prompt_cid: Cid, model_id: ModelId, model_cid: Cid
) -> bytes:
    """Names one request, also after a re-organisation gave its number to another.

    keccak256(abi.encode(jobId, requester, keccak256(promptCID), keccak256(modelId),
    keccak256(modelCID))).
    """
    texts = (prompt_cid, model_id, model_cid)
    digests = (words.text_digest(text) for text in texts)
    return keccak(b"".join((words.number(job_id), words.address(requester), *digests)))


def delivered_digest(request: bytes, response_cid: Cid, price_wei: Wei) -> bytes:
    """What a job's digest becomes at delivery.

    keccak256(abi.encode(requestDigest, keccak256(responseCID), price)).
    """
    return keccak(request + words.text_digest(response_cid) + words.number(price_wei))
