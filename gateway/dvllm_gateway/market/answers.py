"""Answers: read where the node published them, held against the chain before anyone sees them."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import ContentUnavailable, InvalidResponse
from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.ids import Cid, JobId
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import RequestIdentity
from decentralized_vllm.requester.answers import (
    check_delivery,
    identity_of,
)
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.market.documents import Documents
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_market import (
    Answer,
    AnswerMissing,
    AnswerPublished,
    Delivery,
)

JOBS_KEPT = 1024


class Rereads(Protocol):
    async def __call__(self, job_id: JobId) -> None:
        """Looks for events of the job that were missed. Raises DvllmError."""


@dataclass(slots=True)
class _Kept:
    """Who asks while the answer is read waits for it: a delivery often follows that closely."""

    identity: RequestIdentity
    answer: Answer | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class AnswerDesk:
    """What was read when it was published is not read again when it is delivered."""

    def __init__(self, network: Network, documents: Documents) -> None:
        self._documents = documents
        self._jobs = network.jobs
        self._deployment = Deployment(network.identity.chain_id, network.coordinator.address)
        self._kept: OrderedDict[InferenceRequested, _Kept] = OrderedDict()

    async def published(self, job: Job, word: AnswerPublished) -> Answer:
        with as_gateway_errors():
            return await self._answer(job, word.cid, told=word.document)

    async def delivery(self, job: Job, reread: Rereads) -> Delivery:
        with as_gateway_errors():
            state = await self._jobs.job(job.id)
            if state.status is not JobStatus.DELIVERED or job.response_cid is None:
                raise NetworkUnavailable("the chain does not show the delivery now")
            price_wei = state.escrow_wei if job.price_wei is None else job.price_wei
            identity = self._keep(job).identity
            try:
                check_delivery(identity, job.response_cid, price_wei, state.digest)
            except InvalidResponse as error:  # an endpoint left a log out, as a rule
                await reread(job.id)
                raise NetworkUnavailable("the chain's events are incomplete") from error
            answer = await self._answer(job, job.response_cid)
        self._kept.pop(job.request, None)
        return Delivery(answer, price_wei)

    async def _answer(self, job: Job, cid: Cid, told: bytes | None = None) -> Answer:
        kept = self._keep(job)
        async with kept.reading:
            if kept.answer is None or (kept.answer.cid, kept.answer.worker) != (cid, job.node):
                kept.answer = await self._read(job, cid, kept.identity, told)
            return kept.answer

    async def _read(
        self, job: Job, cid: Cid, identity: RequestIdentity, told: bytes | None
    ) -> Answer:
        assert job.node is not None
        try:
            document = await self._documents.read(cid, identity, job.node, told=told)
        except ContentUnavailable as error:
            raise AnswerMissing("the content store does not answer") from error
        return Answer(
            cid=cid,
            worker=document.node,
            text=document.text,
            finish_reason=document.finish_reason,
            usage=document.usage,
            receipt="0x" + document.signature.hex(),
            started_at_ms=document.timing.started_at_ms,
        )

    def _keep(self, job: Job) -> _Kept:
        if job.request not in self._kept:
            self._kept[job.request] = _Kept(identity_of(job.request, self._deployment))
            while len(self._kept) > JOBS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[job.request]
