"""What the services keep. One call is one database transaction, durable when it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeAlias

from decentralized_vllm.protocol.events import LogPosition
from decentralized_vllm.protocol.ids import Address, JobId, Wei
from dvllm_gateway.ids import AccountId, KeyId, TaskId
from dvllm_gateway.services.events import Event, EventName, Payload
from dvllm_gateway.services.identity import ApiKey
from dvllm_gateway.services.ports import Balance, StoredReply
from dvllm_gateway.services.tasks import TaskFilter, TaskPage, TaskRecord

# A part of a transaction that somebody else makes: only the database knows what it is given.
Along: TypeAlias = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is needed to put a task on chain, also after a restart.

    `sender` is the gateway key that pays for the job; `document` the prompt's canonical bytes;
    `ceiling_wei` and `share` what the submission states on chain; `node` who is to hold the lease.
    `is_unwanted` once its owner has cancelled it.
    """

    sender: Address
    document: bytes
    ceiling_wei: Wei
    share: int
    node: Address | None
    is_unwanted: bool = False


class TaskStore(Protocol):
    async def create(self, record: TaskRecord, assignment: Assignment) -> None:
        """The task, with `reserved_wei` taken from what is available in the same transaction.

        Raises InsufficientBalance, and nothing was written then.
        """

    async def create_all(self, tasks: Sequence[tuple[TaskRecord, Assignment]]) -> None:
        """`create` of some that belong to one account: all of them or none."""

    def creating(self, record: TaskRecord, assignment: Assignment) -> Along:
        """`create` as a part of another transaction."""

    async def update(self, records: Sequence[TaskRecord]) -> None:
        """Progress of tasks that are not over; an ended one stays as it is."""

    async def finish(self, record: TaskRecord) -> bool:
        """The end: charges `cost_wei`, frees the rest of the reservation, notes both in the ledger.

        False if it was over before, and nothing changed.
        """

    async def note_unwanted(self, task_id: TaskId) -> None:
        """Its owner has cancelled it, whatever comes of that."""

    async def get(self, task_id: TaskId) -> TaskRecord | None: ...

    async def of_job(self, sender: Address, job_id: JobId) -> TaskRecord | None: ...

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        """Newest first, each without its prompt ("") and its response (None): they may be long."""

    async def unfinished(self, sender: Address) -> tuple[tuple[TaskRecord, Assignment], ...]:
        """Oldest first: what a starting gateway goes on with."""


class OldTasks(Protocol):
    """Tasks that ended before a time (Unix ms). The ledger is kept whatever becomes of them."""

    async def forget_texts(self, before_ms: int, *, limit: int) -> int:
        """Deletes prompts and answers of at most `limit` of them; of how many it did."""

    async def forget(self, before_ms: int, *, limit: int) -> int:
        """Deletes at most `limit` of them whole; how many it did."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key and the keyed hash (32 bytes) of its secret."""

    key: ApiKey
    hash: bytes


class ApiKeyStore(Protocol):
    async def add(self, stored: StoredKey) -> bool:
        """False if its id is taken, and nothing was written then. Makes an unknown account."""

    async def find(self, key_id: KeyId) -> StoredKey | None:
        """None also for a revoked one."""

    async def list(self, account: AccountId) -> tuple[ApiKey, ...]:
        """Without the revoked ones, oldest first."""

    async def revoke(self, account: AccountId, key_id: KeyId) -> bool:
        """For good. False if that account has no such key, or it was revoked before."""

    async def note_use(self, key_id: KeyId, at_ms: int) -> None: ...


class RequestNonceStore(Protocol):
    async def spend(self, address: Address, nonce: str, *, now_ms: int, until_ms: int) -> bool:
        """Notes a nonce until `until_ms`: True once for each, whichever gateway process asks.

        Forgets those whose time was over before `now_ms`.
        """


@dataclass(frozen=True, slots=True)
class IssuedNonce:
    """Who may log in with a nonce, and until when (Unix milliseconds)."""

    nonce: str
    address: Address
    expires_at_ms: int


class LoginNonceStore(Protocol):
    async def issue(self, issued: IssuedNonce, *, now_ms: int) -> None:
        """Forgets those that expired before `now_ms`."""

    async def take(self, nonce: str) -> IssuedNonce | None:
        """Deletes it: given out once at most, whichever gateway process asks."""


class Movement(StrEnum):
    """Why an account's money moved."""

    GRANT = "grant"  # by the operator; negative takes money back
    DEPOSIT = "deposit"
    REVERSAL = "reversal"  # of a deposit that a re-organisation took off the chain
    RESERVE = "reserve"  # from available to reserved, for a task
    RELEASE = "release"  # what a task did not cost, back to available
    CHARGE = "charge"  # what a task cost, out of reserved


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One movement, never changed afterwards; both amounts are signed changes of the balance.

    `reason` is the operator's word for a grant, the transaction of a deposit.
    """

    id: int
    account: AccountId
    movement: Movement
    available_wei: Wei
    reserved_wei: Wei
    at_ms: int
    task_id: TaskId | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    lines: tuple[LedgerLine, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Account:
    id: AccountId
    created_at_ms: int
    balance: Balance


@dataclass(frozen=True, slots=True)
class AccountPage:
    accounts: tuple[Account, ...]
    total: int


class AccountStore(Protocol):
    """An account is made by its first credit or key; an unknown one has nothing."""

    async def balance(self, account: AccountId) -> Balance:
        """`available_wei` is below zero only after the reversal of a deposit already spent."""

    async def grant(
        self, account: AccountId, amount_wei: Wei, *, reason: str, at_ms: int
    ) -> Balance:
        """Negative takes away. Raises InsufficientBalance below zero; nothing was written then."""

    async def find(self, account: AccountId) -> Account | None: ...

    async def list(self, *, limit: int, offset: int) -> AccountPage:
        """In the order of their ids."""

    async def history(self, account: AccountId, *, limit: int, offset: int) -> LedgerPage:
        """Newest first."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """Tokens that `account` sent to the gateway, as a log of the chain tells."""

    position: LogPosition
    account: AccountId
    amount_wei: Wei


class KeyOf(NamedTuple):
    """An idempotency key of an account."""

    account: AccountId
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A key in use: `digest` is its request's, `reply` None while that has none.

    `is_mine`: whoever asked holds the key now; `is_new`: nobody had it before. Only claims of an
    older release have no `first_task`.
    """

    digest: bytes
    reply: StoredReply | None
    first_task: TaskId | None
    is_mine: bool
    is_new: bool


class IdempotencyStore(Protocol):
    async def claim(
        self,
        key: KeyOf,
        digest: bytes,
        first_task: TaskId,
        *,
        now_ms: int,
        held_until_ms: int,
        until_ms: int,
    ) -> Claim:
        """Takes a key that is unknown, or held by nobody at `now_ms` and without a reply.

        A known key keeps its `first_task`. Forgets those whose time was over before `now_ms`.
        """

    async def hold(self, keys: Sequence[KeyOf], *, until_ms: int) -> None:
        """Nobody else takes them before, as long as they have no reply."""

    async def settle(self, key: KeyOf, reply: StoredReply) -> None: ...

    async def release(self, key: KeyOf) -> None:
        """Frees a key without a reply; one that has a reply keeps it."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event before it has a cursor."""

    name: EventName
    at_ms: int
    payload: Payload
    account: AccountId | None = None


class EventStore(Protocol):
    """What a subscriber may have missed. A task's events are kept as its id: read later, they show
    the task as it is then. Only the newest are kept."""

    async def append(self, events: Sequence[NewEvent]) -> tuple[Event, ...]:
        """In order, with growing cursors. No smaller cursor ever becomes visible after a larger."""

    async def read(self, *, after: int, limit: int) -> tuple[Event, ...]:
        """The oldest ones with larger cursors, also those of other gateway processes."""

    async def last_cursor(self) -> int:
        """0 before the first event."""


class LeaseStore(Protocol):
    """Who may use what only one process may use, such as a chain key. Time is the database's."""

    async def acquire(self, name: str, holder: str, *, for_s: float) -> bool:
        """True also for who has it already: then it is renewed. False while another has it."""

    async def release(self, name: str, holder: str) -> None:
        """Nothing if another has it."""
