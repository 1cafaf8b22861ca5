"""What a dialect may ask of the core. Every call raises GatewayError and nothing else."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decentralized_vllm.protocol.ids import Address, Cid, ModelId, TxHash, Wei
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.events import Event
from dvllm_gateway.services.identity import ApiKeys, Authenticator
from dvllm_gateway.services.network import Model, Peer, ServingNode, Status
from dvllm_gateway.services.payments import Payments
from dvllm_gateway.services.resources import Allocation, Resources
from dvllm_gateway.services.tasks import (
    StreamEnd,
    TaskFilter,
    TaskPage,
    TaskRecord,
    TaskRequest,
    TextChunk,
)


class Tasks(Protocol):
    """Tasks belong to accounts: somebody else's is NotFound."""

    async def submit(
        self, account: AccountId, request: TaskRequest, *, task_id: TaskId | None = None
    ) -> TaskRecord:
        """Reserves the money, makes the task durable, and returns before it is on chain.

        With a `task_id`, if the account has that task already: that one, and nothing happens.

        Raises ModelNotFound, InvalidRequest, InsufficientBalance, RateLimited (too many at once),
        NetworkUnavailable. What was returned goes on whatever happens to the caller.
        """

    async def submit_all(
        self,
        account: AccountId,
        requests: Sequence[TaskRequest],
        *,
        task_ids: Sequence[TaskId] | None = None,
    ) -> tuple[TaskRecord, ...]:
        """As `submit` of each, in order; but all of them are made or none, in one transaction.

        Raises as `submit`, and InvalidRequest for more than may ever run at once.
        """

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        """The task that `submit` would make now; nothing is reserved or kept.

        Raises ModelNotFound, InvalidRequest, NoCapacity, NetworkUnavailable.
        """

    async def get(self, account: AccountId, task_id: TaskId) -> TaskRecord: ...

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        """Newest first."""

    async def wait_submitted(
        self, account: AccountId, task_id: TaskId, timeout_s: float
    ) -> TaskRecord:
        """Until its job is mined or it is over; as it is then, or when the time is up."""

    async def wait_over(self, account: AccountId, task_id: TaskId, timeout_s: float) -> TaskRecord:
        """Until it is over. Raises TaskTimeout (task_created) after `timeout_s`."""

    def stream(self, account: AccountId, task_id: TaskId) -> AsyncIterator[TextChunk | StreamEnd]:
        """The answer as the leased node makes it; the last item is a StreamEnd.

        A node that can not be listened to is waited for, and its answer comes in one piece. After
        a takeover the text goes on where it was if the new node says the same, else it raises
        TaskFailed. Raises TaskFailed, PromptTooLong or PromptRefused when the task ends without an
        answer, and TaskTimeout (task_created) when it can not even be sent.
        """

    async def answer(self, account: AccountId, task_id: TaskId) -> StreamEnd:
        """The whole answer as soon as the node has made it: `task` has its text.

        Raises as `stream`.
        """

    async def document(self, task: TaskRecord) -> ResponseDocument:
        """All that the node signed, of a task that was told with its answer.

        Raises NetworkUnavailable (task_created) while nobody has it any more.
        """

    async def cancel(self, account: AccountId, task_id: TaskId) -> TaskRecord:
        """Nobody waits for it any more. Raises Conflict for a task that is over."""


class Models(Protocol):
    async def list(self, *, active_only: bool) -> tuple[Model, ...]: ...

    async def get(self, model_id: ModelId) -> Model:
        """Raises ModelNotFound."""

    async def inspect(self, folder: Path) -> Cid:
        """The CID of a folder's files as one directory; nothing is stored.

        Raises InvalidRequest for files that no node would load.
        """

    async def publish(self, upload: "ModelUpload") -> "PublishedModel":
        """Stores an inspected folder as one directory, and registers it if the key may.

        Raises Conflict (the model has these very files), NoCapacity (the disk is full),
        NetworkUnavailable, TransactionRejected. What was not registered is not kept.
        """


@dataclass(frozen=True, slots=True)
class ModelUpload:
    """Files received into `folder`, which belongs to the upload; `caller` is the owner's wallet."""

    model_id: ModelId
    name: str
    description: str
    folder: Path
    caller: Address


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    to: Address
    data: str  # 0x hex
    chain_id: int


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """Registered (with its transaction), or waiting for the owner to sign `transaction`."""

    model_id: ModelId
    cid: Cid
    tx_hash: TxHash | None
    transaction: UnsignedTransaction | None


class Network(Protocol):
    async def status(self) -> Status: ...

    async def peers(self) -> tuple[Peer, ...]: ...

    async def serving(self, model_id: ModelId) -> tuple[ServingNode, ...]:
        """As far as nodes say it: one that nobody can reach may serve the model as well."""

    async def owner(self) -> Address:
        """Who may register models."""


class NodeResources(Protocol):
    async def read(self) -> Resources: ...

    async def change(self, wish: Allocation) -> Resources:
        """Raises NoCapacity above the limits, or when there is no node to tell."""


@dataclass(frozen=True, slots=True)
class Balance:
    """`available_wei` is what new tasks may reserve; both together are the account's money."""

    available_wei: Wei
    reserved_wei: Wei


class Credit(Protocol):
    async def balance(self, account: AccountId) -> Balance: ...


@dataclass(frozen=True, slots=True)
class LimitState:
    """The tightest limit that a call was counted against. `reset_s` is seconds from now."""

    limit: int
    remaining: int
    reset_s: int


@dataclass(frozen=True, slots=True)
class Rate:
    """`n_calls` in any `window_s`."""

    n_calls: int
    window_s: int


class Limits(Protocol):
    async def count(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        """Counts a call by `caller` (an account, or an address on the net).

        Both the dialect's table and the account's budget across dialects must allow it; a refused
        call counts nowhere. `spends` tells which budget. Raises RateLimited.
        """

    async def state(
        self, dialect: str, rate_class: str, rate: Rate, caller: str, *, spends: bool
    ) -> LimitState:
        """Without counting."""

    async def count_tokens(self, caller: str, n_tokens: int) -> LimitState:
        """Those an answer used, against what an account may use in a while. Never refuses: they are
        used already, so what is more than the rest takes all of the rest."""

    async def token_state(self, caller: str) -> LimitState:
        """Without counting."""


class EventBus(Protocol):
    def subscribe(self, *, after: int | None = None) -> AsyncIterator[Event]:
        """Events from now on, or all kept ones after a cursor first.

        Ends with SubscriberTooSlow when `queue` events wait to be read.
        """


class Idempotency(Protocol):
    async def begin(
        self, account: AccountId, key: str, digest: bytes, *, joins: bool
    ) -> "StoredReply | Attempt":
        """An Attempt: do the work, or go on with it.

        Raises Conflict for another body; and while an attempt runs, unless the caller `joins` it.
        """

    async def finish(self, account: AccountId, key: str, reply: "StoredReply") -> None:
        """This and what follows are for whoever has the attempt as its own."""

    async def let_go(self, account: AccountId, key: str) -> None:
        """There is no reply to keep: who asks next goes on with the tasks."""

    async def abandon(self, account: AccountId, key: str) -> None:
        """The work had no effect: the key may be used again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """At a request with a key, whose tasks are `first_task` and those after it.

    `is_new` is the very first. `is_mine` is told how it ends; others may run beside it.
    """

    first_task: TaskId
    is_new: bool
    is_mine: bool


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply as it was sent; kept for a day."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Core:
    """All a dialect gets. Built once by `app.py`. `payments` None takes none with requests."""

    tasks: Tasks
    models: Models
    network: Network
    resources: NodeResources
    keys: ApiKeys
    auth: Authenticator
    credit: Credit
    limits: Limits
    events: EventBus
    idempotency: Idempotency
    payments: Payments | None = None
