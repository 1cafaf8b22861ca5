"""Fetches the answer of a delivered job and holds it against the chain before anyone sees it."""

from collections.abc import Sequence
from typing import Protocol

from decentralized_vllm.protocol.digests import delivered_digest, request_digest
from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentUnavailable,
    InvalidResponse,
    RetryableError,
)
from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.ids import Address, Cid, Wei
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import RequestIdentity, ResponseDocument, parse_response


class ReadsFiles(Protocol):
    """Anything of `content` that verified files can be read from."""

    async def read_bytes(self, cid: Cid, *, max_bytes: int) -> bytes: ...


def identity_of(request: InferenceRequested, deployment: Deployment) -> RequestIdentity:
    """The request as its event tells it, with the digest computed here."""
    digest = request_digest(
        request.job_id,
        request.controller,
        request.prompt_cid,
        request.model_id,
        request.model_cid,
    )
    return RequestIdentity(
        deployment=deployment,
        job_id=request.job_id,
        request_digest=digest,
        prompt_cid=request.prompt_cid,
        model_id=request.model_id,
        model_cid=request.model_cid,
    )


def check_delivery(
    request: RequestIdentity, response_cid: Cid, price_wei: Wei, digest: bytes
) -> None:
    """Holds what the events told against the digest that the coordinator stores.

    Raises InvalidResponse: an RPC endpoint that makes up events is found out here.
    """
    if delivered_digest(request.request_digest, response_cid, price_wei) != digest:
        raise InvalidResponse(
            f"job {request.job_id}: the events do not belong to the job the coordinator holds"
        )


async def read_answer(
    sources: Sequence[ReadsFiles], response_cid: Cid, request: RequestIdentity, worker: Address
) -> ResponseDocument:
    """The verified answer, from the first source that has it.

    Raises ContentUnavailable (no source has it now), and InvalidResponse or InvalidReceipt for one
    that is not this node's answer to this request.
    """
    return verified_answer(await _first(sources, response_cid), request, worker)


def verified_answer(data: bytes, request: RequestIdentity, worker: Address) -> ResponseDocument:
    """Raises InvalidResponse, or InvalidReceipt for what is not this node's answer to this."""
    document = parse_response(data)
    document.verify(request, worker)
    return document


async def read_again(sources: Sequence[ReadsFiles], response_cid: Cid) -> ResponseDocument:
    """An answer that `read_answer` verified before: its CID says that it is the same.

    Raises ContentUnavailable.
    """
    return parse_response(await _first(sources, response_cid))


async def _first(sources: Sequence[ReadsFiles], cid: Cid) -> bytes:
    reasons: list[str] = []
    for source in sources:
        try:
            return await source.read_bytes(cid, max_bytes=MAX_RESPONSE_BYTES)
        except (RetryableError, ContentMismatch) as error:
            reasons.append(error.message)
    raise ContentUnavailable(
        f"the answer {cid} can not be read: {'; '.join(reasons) or 'no source is known'}"
    )
