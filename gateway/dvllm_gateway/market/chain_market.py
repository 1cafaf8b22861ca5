"""The port Market over the library: what tasks do with the network, by one key."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import TransactionFailed
from decentralized_vllm.protocol.ids import Address, Cid, JobId
from decentralized_vllm.protocol.ports import TransactionSender
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.ids import TaskId
from dvllm_gateway.market.answers import AnswerDesk
from dvllm_gateway.market.documents import Documents
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.market.follower import Follower
from dvllm_gateway.market.placement import Placement, PromptPlacer
from dvllm_gateway.market.prompt_offers import PromptOffers
from dvllm_gateway.market.relay import NodeEars
from dvllm_gateway.market.submitter import Submitter
from dvllm_gateway.market.terms import TermsBook
from dvllm_gateway.market.till import Till
from dvllm_gateway.services.stores import Along
from dvllm_gateway.services.task_jobs import Job, JobWatch
from dvllm_gateway.services.task_market import (
    Answer,
    AnswerPublished,
    Delivery,
    NodeWord,
    Order,
    Quote,
    Stored,
)
from dvllm_gateway.services.tasks import TaskRequest


@dataclass(frozen=True, slots=True)
class _Behind:
    """What goes on behind one submission."""

    task_id: TaskId
    placement: Placement
    tasks: tuple[asyncio.Task[None], ...]

    def end(self) -> None:
        self.placement.end()
        for task in self.tasks:
            task.cancel()


class ChainMarket:
    """What goes on behind a submission runs in `group`, until the watch is forgotten."""

    def __init__(
        self,
        network: Network,
        sender: TransactionSender,
        me: Address,
        *,
        terms: TermsBook,
        till: Till,
        placer: PromptPlacer,
        submitter: Submitter,
        follower: Follower,
        offers: PromptOffers,
        answers: AnswerDesk,
        documents: Documents,
        ears: NodeEars,
        group: asyncio.TaskGroup,
    ) -> None:
        self._network = network
        self._sender = sender
        self._me = me
        self._terms = terms
        self._till = till
        self._placer = placer
        self._submitter = submitter
        self._follower = follower
        self._offers = offers
        self._answers = answers
        self._documents = documents
        self._ears = ears
        self._group = group
        self._behind: dict[JobWatch, _Behind] = {}

    @property
    def sender(self) -> Address:
        return self._me

    async def quote(self, request: TaskRequest) -> Quote:
        quote = await self._terms.quote(request)
        self._till.require(quote.escrow_wei)
        return quote

    async def store_with(self, order: Order, along: Along) -> Stored | None:
        return await self._submitter.store_with(order, along) if self._placer.is_trusted else None

    async def submit(self, order: Order, watch: JobWatch) -> None:
        placement = self._placer.begin(order.document)
        try:
            await self._submitter.send(order, watch, placement)
        except BaseException:
            placement.end()
            raise
        self._behind[watch] = _Behind(
            order.task_id,
            placement,
            (
                self._group.create_task(self._submitter.confirm(order, watch)),
                self._group.create_task(self._offers.follow(order, watch, placement)),
            ),
        )

    async def is_submitted(self, task_id: TaskId) -> bool:
        return await self._submitter.is_sent(task_id)

    async def cancel(self, job: Job) -> None:
        # A key is sent once, and the wish comes again when a node that was quicker gives it back.
        key = f"cancel:{job.id}:{job.request_tx[:18]}:{job.n_leases}"
        with as_gateway_errors():
            try:
                await self._sender.send(self._network.requester_calls.cancel_job(job.id), key=key)
                await self._sender.wait(key)
            except TransactionFailed:
                pass  # a node took it, or it is over: the chain tells

    async def delivery(self, job: Job) -> Delivery:
        return await self._answers.delivery(job, self._reread)

    async def published(self, job: Job, word: AnswerPublished) -> Answer:
        return await self._answers.published(job, word)

    async def document(self, worker: Address, cid: Cid) -> ResponseDocument:
        with as_gateway_errors():
            return await self._documents.again(cid, worker)

    def listen(self, job: Job) -> AsyncGenerator[NodeWord, None]:
        return self._ears.listen(job)

    def forget(self, watch: JobWatch) -> None:
        behind = self._behind.pop(watch, None)
        if behind is not None:
            behind.end()
            self._till.settled(behind.task_id)  # its end may be known before its receipt
        self._follower.forget(watch)

    def close(self) -> None:
        """Ends what goes on behind submissions; it goes on when the market is opened again."""
        for watch in list(self._behind):
            self.forget(watch)

    async def _reread(self, job_id: JobId) -> None:
        await reread(self._network, self._follower, job_id)


async def reread(network: Network, follower: Follower, job_id: JobId) -> None:
    """Looks for events of a job that were missed. Raises UnknownJob, ChainUnavailable."""
    watch = follower.watch_of(job_id)
    if watch is not None:
        follower.adopt(watch, await network.jobs.events(job_id))
