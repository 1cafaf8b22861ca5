"""Response documents: what a node published as the answer of one job, with its signed receipt.

`sign` makes the bytes a worker publishes; `parse_response` reads a stranger's; `verify` holds what
was read against the job as the chain tells it.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from eth_account.signers.base import BaseAccount
from eth_utils.crypto import keccak
from pydantic import Field, ValidationError

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import (
    DOCUMENT_VERSION,
    MAX_FIELDS,
    MAX_RESPONSE_BYTES,
    MAX_SAFE_INTEGER,
    MAX_TOKENS_BILLED,
    CidText,
    Schema,
    Version,
    describe,
)
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidReceipt, InvalidResponse
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    FinishReason,
    PromptTokenLogprob,
    TokenLogprob,
    Usage,
)
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId
from decentralized_vllm.protocol.logprobs import (
    MAX_TOKENS_WITH_LOGPROBS,
    Logprobs,
    PromptLogprobs,
    check_prompt_logprobs,
    logprobs_json,
    read_logprobs,
    read_prompt_logprobs,
)
from decentralized_vllm.protocol.receipts import (
    Deployment,
    InferenceReceipt,
    sign_receipt,
    verify_receipt,
)
from decentralized_vllm.protocol.tool_documents import Calls, calls_json
from decentralized_vllm.protocol.tools import ToolCall

MAX_PARTS = 64


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """Which request is answered; every field is on chain, in the events of the job."""

    deployment: Deployment
    job_id: JobId
    request_digest: bytes
    prompt_cid: Cid
    model_id: ModelId
    model_cid: Cid


@dataclass(frozen=True, slots=True)
class ResponseTiming:
    """By the node's clock. `started_at_ms` is Unix time; the others are durations."""

    started_at_ms: int
    first_token_ms: int
    total_ms: int


@dataclass(frozen=True, slots=True)
class ResponseDocument:
    """An answer. `seed` is the one really used; `parts` are CIDs of outputs that are not text.

    `logprobs` has an entry for each token if the prompt asks for them, and is None if not; so has
    `prompt_logprobs` for each token of the prompt.
    `tool_calls` stand beside the text; see `tools.check_calls` for whether the prompt allows them.
    """

    request: RequestIdentity
    node: Address
    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timing: ResponseTiming
    engine: EngineIdentity
    seed: int | None = None
    parts: dict[str, Cid] = field(default_factory=dict)
    logprobs: tuple[TokenLogprob, ...] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    prompt_logprobs: tuple[PromptTokenLogprob, ...] | None = None
    signature: bytes = b""

    @property
    def receipt(self) -> InferenceReceipt:
        request = self.request
        digest = keccak(canonical_json.encode(_body(self)))
        return InferenceReceipt(request.job_id, request.request_digest, digest, self.usage)

    def sign(self, account: BaseAccount) -> "ResponseDocument":
        """Raises InvalidResponse when `account` is not the node that the document names."""
        self._check_sense()
        if Address(account.address) != self.node:
            raise InvalidResponse(f"{account.address} can not sign an answer of {self.node}")
        signature = sign_receipt(self.receipt, self.request.deployment, account)
        return replace(self, signature=signature)

    def to_bytes(self) -> bytes:
        """Canonical bytes of a signed document. Raises InvalidResponse."""
        body = {**_body(self), "receipt": {"signature": "0x" + self.signature.hex()}}
        _validated(body)
        data = canonical_json.encode(body)
        if len(data) > MAX_RESPONSE_BYTES:
            raise InvalidResponse(f"{len(data)} bytes, more than {MAX_RESPONSE_BYTES}")
        return data

    def verify(self, request: RequestIdentity, node: Address) -> None:
        """Raises InvalidResponse (another job's answer) or InvalidReceipt (not the node's word).

        `request` and `node` come from the chain: the job's events and its lease holder.
        """
        if self.request != request:
            raise InvalidResponse(f"the answer is not one to job {request.job_id} as requested")
        if self.node != node:
            raise InvalidReceipt(f"the answer names node {self.node}, the job was {node}'s")
        self._check_sense()
        verify_receipt(self.receipt, request.deployment, self.signature, node)

    def _check_sense(self) -> None:
        n_billed = self.usage.n_output_tokens
        if n_billed != len(self.token_ids):
            raise InvalidResponse(f"bills {n_billed} tokens and shows {len(self.token_ids)}")
        if self.logprobs is not None and len(self.logprobs) != n_billed:
            raise InvalidResponse(f"bills {n_billed} tokens and rates {len(self.logprobs)}")
        if self.prompt_logprobs is not None:
            check_prompt_logprobs(self.prompt_logprobs, self.usage.n_prompt_tokens)
            if len(self.prompt_logprobs) + n_billed > MAX_TOKENS_WITH_LOGPROBS:
                raise InvalidResponse(f"rates more than {MAX_TOKENS_WITH_LOGPROBS} tokens")
        is_expected = FinishReason.TOOL_CALLS if self.tool_calls else FinishReason.STOP
        if self.finish_reason not in (is_expected, FinishReason.LENGTH):
            raise InvalidResponse(f"ends by {self.finish_reason}, calls {len(self.tool_calls)}")


def parse_response(data: bytes) -> ResponseDocument:
    """Reads a stranger's response; its receipt is not checked yet. Raises InvalidResponse."""
    try:
        fields = canonical_json.decode(data, max_bytes=MAX_RESPONSE_BYTES, max_fields=MAX_FIELDS)
        return _validated(fields).to_document()
    except InvalidResponse:
        raise
    except InvalidDocument as error:
        raise InvalidResponse(error.message) from error


_AddressText = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
_DigestText = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]
_Milliseconds = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
_TokenCount = Annotated[int, Field(ge=0, le=MAX_TOKENS_BILLED)]
_ShortText = Annotated[str, Field(max_length=64)]


class _JobSchema(Schema):
    id: str = Field(pattern=r"^(0|[1-9][0-9]{0,77})$")
    chain_id: int = Field(ge=1, le=MAX_SAFE_INTEGER)
    coordinator: _AddressText
    request_digest: _DigestText


class _UsageSchema(Schema):
    prompt_tokens: _TokenCount
    output_tokens: _TokenCount


class _TimingSchema(Schema):
    started_at_ms: _Milliseconds
    first_token_ms: _Milliseconds
    total_ms: _Milliseconds


class _EngineSchema(Schema):
    name: _ShortText
    version: _ShortText
    dtype: _ShortText
    device: _ShortText


class _ReceiptSchema(Schema):
    signature: str = Field(pattern=r"^0x[0-9a-f]{130}$")


class _ResponseSchema(Schema):
    version: Version
    job: _JobSchema
    node: _AddressText
    prompt_cid: CidText
    model_id: str = Field(min_length=1, max_length=256)
    model_cid: CidText
    text: str
    token_ids: list[_TokenCount] = Field(fail_fast=True)
    finish_reason: Literal["stop", "length", "tool_calls"]
    usage: _UsageSchema
    timing: _TimingSchema
    engine: _EngineSchema
    seed: int | None = Field(ge=0, le=MAX_SAFE_INTEGER)
    parts: dict[_ShortText, CidText] = Field(max_length=MAX_PARTS)
    logprobs: Logprobs | None = None
    tool_calls: Calls | None = None
    prompt_logprobs: PromptLogprobs | None = None
    receipt: _ReceiptSchema

    def to_document(self) -> ResponseDocument:
        return ResponseDocument(
            request=self._request(),
            node=Address(self.node),
            text=self.text,
            token_ids=tuple(self.token_ids),
            finish_reason=FinishReason(self.finish_reason),
            usage=Usage(self.usage.prompt_tokens, self.usage.output_tokens),
            timing=ResponseTiming(**dict(self.timing)),
            engine=EngineIdentity(**dict(self.engine)),
            seed=self.seed,
            parts={name: Cid(cid) for name, cid in self.parts.items()},
            logprobs=read_logprobs(self.logprobs),
            tool_calls=tuple(call.to_call() for call in self.tool_calls or ()),
            prompt_logprobs=read_prompt_logprobs(self.prompt_logprobs),
            signature=bytes.fromhex(self.receipt.signature[2:]),
        )

    def _request(self) -> RequestIdentity:
        return RequestIdentity(
            deployment=Deployment(self.job.chain_id, Address(self.job.coordinator)),
            job_id=JobId(int(self.job.id)),
            request_digest=bytes.fromhex(self.job.request_digest[2:]),
            prompt_cid=Cid(self.prompt_cid),
            model_id=ModelId(self.model_id),
            model_cid=Cid(self.model_cid),
        )


def _validated(fields: canonical_json.JsonValue) -> _ResponseSchema:
    try:
        return _ResponseSchema.model_validate(fields)
    except ValidationError as error:
        raise InvalidResponse(describe(error)) from None


def _body(document: ResponseDocument) -> dict[str, Any]:
    """What the receipt signs: the whole document but the receipt."""
    return {
        "version": DOCUMENT_VERSION,
        "job": _job_body(document.request),
        "node": document.node,
        "prompt_cid": document.request.prompt_cid,
        "model_id": document.request.model_id,
        "model_cid": document.request.model_cid,
        "text": document.text,
        "token_ids": list(document.token_ids),
        "finish_reason": document.finish_reason.value,
        "usage": {
            "prompt_tokens": document.usage.n_prompt_tokens,
            "output_tokens": document.usage.n_output_tokens,
        },
        "timing": _members(document.timing, _TimingSchema),
        "engine": _members(document.engine, _EngineSchema),
        "seed": document.seed,
        "parts": dict(document.parts),
        **_logprobs_body(document),
        **calls_json(document.tool_calls),
    }


def _members(part: ResponseTiming | EngineIdentity, schema: type[Schema]) -> dict[str, Any]:
    """As `asdict`, which copies what can not change."""
    return {name: getattr(part, name) for name in schema.model_fields}


def _logprobs_body(document: ResponseDocument) -> dict[str, Any]:
    """Nothing, as ever, for an answer that was not asked for them."""
    fields: dict[str, Any] = {}
    if document.logprobs is not None:
        fields["logprobs"] = logprobs_json(document.logprobs)
    if document.prompt_logprobs is not None:
        fields["prompt_logprobs"] = logprobs_json(document.prompt_logprobs)
    return fields


def _job_body(request: RequestIdentity) -> dict[str, Any]:
    return {
        "id": str(request.job_id),
        "chain_id": request.deployment.chain_id,
        "coordinator": request.deployment.coordinator,
        "request_digest": "0x" + request.request_digest.hex(),
    }
