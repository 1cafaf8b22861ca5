"""Fetches the answer of a delivered job and holds it against the chain before anyone sees it."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from decentralized_vllm.protocol.digests import delivered_digest, request_digest
from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES, MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.embeddings import Vector, read_vectors
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentUnavailable,
    InvalidPrompt,
    InvalidResponse,
    RetryableError,
)
from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.generation import FinishReason
from decentralized_vllm.protocol.ids import Address, Cid, Wei
from decentralized_vllm.protocol.prompts import PromptDocument, parse_prompt
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import RequestIdentity, ResponseDocument, parse_response
from decentralized_vllm.protocol.tools import check_calls

LONG_BYTES = 1 << 16  # to check this much takes some milliseconds, and a rated prompt has megabytes


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
    return await checked_answer(await _answer_bytes(sources, response_cid), request, worker)


async def checked_answer(
    data: bytes, request: RequestIdentity, worker: Address
) -> ResponseDocument:
    """As `verified_answer`; for a long one in a thread, so that others are served meanwhile."""
    if len(data) > LONG_BYTES:
        return await asyncio.to_thread(verified_answer, data, request, worker)
    return verified_answer(data, request, worker)


def verified_answer(data: bytes, request: RequestIdentity, worker: Address) -> ResponseDocument:
    """Raises InvalidResponse, or InvalidReceipt for what is not this node's answer to this."""
    document = parse_response(data)
    document.verify(request, worker)
    return document


async def read_again(sources: Sequence[ReadsFiles], response_cid: Cid) -> ResponseDocument:
    """An answer that `read_answer` verified before: its CID says that it is the same.

    Raises ContentUnavailable.
    """
    return parse_response(await _answer_bytes(sources, response_cid))


async def read_prompt(sources: Sequence[ReadsFiles], prompt_cid: Cid) -> PromptDocument:
    """What was asked, from the first source that has it.

    Raises ContentUnavailable, and InvalidResponse: there is no answer to what is no prompt.
    """
    data = await _first(sources, prompt_cid, "prompt", MAX_PROMPT_BYTES)
    try:
        return parse_prompt(data)
    except InvalidPrompt as error:
        raise InvalidResponse(f"it answers no prompt: {error.message}") from error


def vectors_in(answer: ResponseDocument, prompt: PromptDocument) -> tuple[Vector, ...] | None:
    """The vectors of a prompt that asks for some, None for another.

    Raises InvalidResponse for what the prompt does not ask for, such as calls that it offers not.
    """
    is_cut = answer.finish_reason is FinishReason.LENGTH
    check_calls(prompt.tools, answer.tool_calls, is_cut=is_cut)
    if prompt.inputs is None:
        return None
    return tuple(read_vectors(answer.text, len(prompt.inputs)))


async def _answer_bytes(sources: Sequence[ReadsFiles], cid: Cid) -> bytes:
    return await _first(sources, cid, "answer", MAX_RESPONSE_BYTES)


async def _first(sources: Sequence[ReadsFiles], cid: Cid, name: str, max_bytes: int) -> bytes:
    reasons: list[str] = []
    for source in sources:
        try:
            return await source.read_bytes(cid, max_bytes=max_bytes)
        except (RetryableError, ContentMismatch) as error:
            reasons.append(error.message)
    raise ContentUnavailable(
        f"the {name} {cid} can not be read: {'; '.join(reasons) or 'no source is known'}"
    )
