"""What tasks need of the network: `market/` is the real one. Raises GatewayError, nothing else."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, ModelId, TxHash, Wei
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.stores import Along
from dvllm_gateway.services.task_jobs import Job, JobWatch
from dvllm_gateway.services.tasks import TaskRequest


@dataclass(frozen=True, slots=True)
class Quote:
    """What one submission of a request states on chain, and what it may cost at most."""

    document: bytes
    prompt_cid: Cid
    ceiling_wei: Wei
    share: int
    escrow_wei: Wei


class Stored(Protocol):
    """A submission that this process has just made durable, and sends."""

    async def sent(self) -> TxHash:
        """Returns when the chain's nodes were asked to take it."""


@dataclass(frozen=True, slots=True)
class Order:
    """One submission. Its `task_id` names it for ever: it is never sent twice.

    `is_new`: nobody can have sent it yet, so that nobody needs to look. `stored`: it is durable
    already, and on its way.
    """

    task_id: TaskId
    model_id: ModelId
    document: bytes
    prompt_cid: Cid
    ceiling_wei: Wei
    share: int
    escrow_wei: Wei
    node: Address | None
    is_new: bool = False
    stored: Stored | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A node's answer to a job, its receipt checked. `receipt` is the signature, 0x hex.

    `started_at_ms` is Unix time by the node's clock.
    """

    cid: Cid
    worker: Address
    text: str
    finish_reason: FinishReason
    usage: Usage
    receipt: str
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """`price_wei` is what the chain took of the escrow for `answer`."""

    answer: Answer
    price_wei: Wei


class AnswerMissing(NetworkUnavailable):
    """The chain shows the delivery, and nobody gives what was delivered."""


@dataclass(frozen=True, slots=True)
class AnswerBegins:
    """The node starts an answer: what it told of one before counts no more."""


@dataclass(frozen=True, slots=True)
class AnswerGoesOn:
    text: str
    n_tokens: int


@dataclass(frozen=True, slots=True)
class AnswerPublished:
    """`document` if the node told it whole: bytes that may or may not be what `cid` names."""

    cid: Cid
    document: bytes | None = None


NodeWord = AnswerBegins | AnswerGoesOn | AnswerPublished


class Market(Protocol):
    """The network as one key trades on it."""

    @property
    def sender(self) -> Address: ...

    async def quote(self, request: TaskRequest) -> Quote:
        """Raises ModelNotFound, InvalidRequest, NoCapacity, NetworkUnavailable."""

    async def store_with(self, order: Order, along: Along) -> Stored | None:
        """Makes a new submission durable together with `along`; `submit` it then.

        None, and nothing happened, where something has to be waited for or looked at first.
        Raises what `along` raises; NetworkUnavailable, where both may be durable or neither.
        """

    async def submit(self, order: Order, watch: JobWatch) -> None:
        """Returns when the submission will be mined whatever happens; `watch` tells the rest.

        A former process may have sent it: then it is only watched. Raises what has not sent it:
        NetworkUnavailable and NoCapacity for now, the permanent errors for good.
        """

    async def is_submitted(self, task_id: TaskId) -> bool:
        """Whether `submit` returned, or was about to, in this process or a former one."""

    async def cancel(self, job: Job) -> None:
        """Takes an open job back; nothing happens to one that a node holds by now."""

    async def delivery(self, job: Job) -> Delivery:
        """Of a delivered job. Raises NetworkUnavailable (for now), its kind AnswerMissing, and
        TaskFailed: what was delivered is no answer of this node to this job."""

    async def published(self, job: Job, word: AnswerPublished) -> Answer:
        """What the lease holder published, before it is delivered. Raises as `delivery`."""

    async def document(self, worker: Address, cid: Cid) -> ResponseDocument:
        """The whole of an answer that was read before. Raises NetworkUnavailable."""

    def listen(self, job: Job) -> AsyncGenerator[NodeWord, None]:
        """What the lease holder tells while it works; ends when it says no more.

        Raises NetworkUnavailable. Ends at once for a node that can not be listened to.
        """

    def forget(self, watch: JobWatch) -> None:
        """Nobody looks at it any more."""
