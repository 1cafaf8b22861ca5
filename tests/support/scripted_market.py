"""A market under a test's control, for the task service without a network."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from decentralized_vllm.protocol.events import InferenceRequested, LogPosition
from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import (
    Address,
    BlockNumber,
    Cid,
    JobId,
    ModelId,
    TxHash,
    Wei,
)
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.errors import GatewayError
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.stores import Along
from dvllm_gateway.services.task_jobs import Job, JobWatch
from dvllm_gateway.services.task_market import (
    Answer,
    AnswerPublished,
    Delivery,
    Market,
    NodeWord,
    Order,
    Quote,
    Stored,
)
from dvllm_gateway.services.tasks import TaskRequest

SENDER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
NODE = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
OTHER_NODE = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
PROMPT_CID = Cid("bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e")
RESPONSE_CID = Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
ESCROW_WEI = Wei(1_000)
STARTED_AT_MS = 1_750_000_000_000


def requested(job_id: int = 1, *, block: int = 10, log: int = 0) -> InferenceRequested:
    position = LogPosition(BlockNumber(block), f"0x{block:064x}", TxHash(f"0x{job_id:064x}"), log)
    return InferenceRequested(
        position, JobId(job_id), SENDER, PROMPT_CID, ModelId("tiny"), Cid("model")
    )


def open_job(job_id: int = 1) -> Job:
    return Job(requested(job_id), JobStatus.OPEN)


def leased_job(job_id: int = 1, node: Address = NODE, n_leases: int = 1) -> Job:
    return replace(open_job(job_id), status=JobStatus.LEASED, node=node, n_leases=n_leases)


def delivered_job(job_id: int = 1, node: Address = NODE) -> Job:
    return replace(leased_job(job_id, node), status=JobStatus.DELIVERED, response_cid=RESPONSE_CID)


def failed_job(code: FailureCode, job_id: int = 1) -> Job:
    return replace(leased_job(job_id), status=JobStatus.FAILED, failure=code)


def answer(text: str = "hi there", *, n_tokens: int = 2, worker: Address = NODE) -> Answer:
    usage = Usage(3, n_tokens)
    receipt = "0x" + "ab" * 65
    return Answer(RESPONSE_CID, worker, text, FinishReason.STOP, usage, receipt, STARTED_AT_MS)


class ScriptedSubmission:
    async def sent(self) -> TxHash:
        await asyncio.sleep(0)
        return TxHash(f"0x{1:064x}")


class ScriptedMarket:
    """The port Market. Tests feed it: `refusals`, `deliveries`, `answers`, streams of nodes."""

    def __init__(self) -> None:
        self.refusals: deque[GatewayError] = deque()
        self.deliveries: deque[Delivery | GatewayError] = deque()
        self.answers: deque[Answer | GatewayError] = deque()
        self.sent: dict[TaskId, Order] = {}
        self.watches: dict[TaskId, JobWatch] = {}
        self.documents: dict[tuple[Address, Cid], ResponseDocument | GatewayError] = {}
        self.cancelled: list[JobId] = []
        self.forgotten: list[JobWatch] = []
        self._streams: dict[Address, asyncio.Queue[NodeWord | GatewayError | None]] = {}
        self.n_listens = 0
        self.stores_at_once = False  # together with the task
        self.is_silent = False  # takes submissions and does nothing with them

    @property
    def sender(self) -> Address:
        return SENDER

    async def quote(self, request: TaskRequest) -> Quote:
        return Quote(request.document.to_bytes(), PROMPT_CID, Wei(2_000), 7, ESCROW_WEI)

    async def store_with(self, order: Order, along: Along) -> Stored | None:
        if not self.stores_at_once:
            return None
        await asyncio.sleep(0)
        along(None)
        return ScriptedSubmission()

    async def submit(self, order: Order, watch: JobWatch) -> None:
        while self.is_silent:  # noqa: ASYNC110 - a test ends it at any time
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.popleft()
        self.sent[order.task_id] = order
        self.watches[order.task_id] = watch

    async def is_submitted(self, task_id: TaskId) -> bool:
        return task_id in self.sent

    async def cancel(self, job: Job) -> None:
        self.cancelled.append(job.id)

    async def delivery(self, job: Job) -> Delivery:
        await asyncio.sleep(0)
        given = self.deliveries.popleft() if self.deliveries else Delivery(answer(), Wei(400))
        if isinstance(given, GatewayError):
            raise given
        return given

    async def published(self, job: Job, word: AnswerPublished) -> Answer:
        given = self.answers.popleft() if self.answers else answer()
        if isinstance(given, GatewayError):
            raise given
        return given

    async def document(self, worker: Address, cid: Cid) -> ResponseDocument:
        given = self.documents[worker, cid]
        if isinstance(given, GatewayError):
            raise given
        return given

    def says(self, node: Address, *words: NodeWord | GatewayError | None) -> None:
        """To whoever listens to this node now or next."""
        queue = self._streams.setdefault(node, asyncio.Queue())
        for word in words:
            queue.put_nowait(word)

    async def listen(self, job: Job) -> AsyncGenerator[NodeWord, None]:
        self.n_listens += 1
        assert job.node is not None
        queue = self._streams.setdefault(job.node, asyncio.Queue())
        while (word := await queue.get()) is not None:
            if isinstance(word, GatewayError):
                raise word
            yield word

    def forget(self, watch: JobWatch) -> None:
        self.forgotten.append(watch)

    async def watch_of(self, task_id: TaskId) -> JobWatch:
        """Once it was submitted."""
        async with asyncio.timeout(10):
            while task_id not in self.watches:  # noqa: ASYNC110 - the code under test sets no event
                await asyncio.sleep(0)
        return self.watches[task_id]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Market]:
        yield self
