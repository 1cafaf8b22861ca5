"""What the services keep. One call is one database transaction, durable when it returns."""

from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.protocol.ids import Address, JobId, Wei
from dvllm_gateway.ids import AccountId, KeyId, TaskId
from dvllm_gateway.services.ports import ApiKey
from dvllm_gateway.services.tasks import TaskFilter, TaskPage, TaskRecord


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is needed to put a task on chain, also after a restart.

    `sender` is the gateway key that pays for the job; `document` the prompt's canonical bytes;
    `ceiling_wei` and `share` what the submission states on chain; `node` who is to hold the lease.
    """

    sender: Address
    document: bytes
    ceiling_wei: Wei
    share: int
    node: Address | None


class TaskStore(Protocol):
    async def create(self, record: TaskRecord, assignment: Assignment) -> None:
        """The task, with `reserved_wei` taken from what is available in the same transaction.

        Raises InsufficientBalance, and nothing was written then.
        """

    async def update(self, record: TaskRecord) -> None:
        """Progress of a task that is not over; an ended one stays as it is."""

    async def finish(self, record: TaskRecord) -> bool:
        """The end: charges `cost_wei`, frees the rest of the reservation, notes both in the ledger.

        False if it was over before, and nothing changed.
        """

    async def get(self, task_id: TaskId) -> TaskRecord | None: ...

    async def of_job(self, sender: Address, job_id: JobId) -> TaskRecord | None: ...

    async def list(self, account: AccountId, chosen: TaskFilter) -> TaskPage:
        """Newest first."""

    async def unfinished(self, sender: Address) -> tuple[tuple[TaskRecord, Assignment], ...]:
        """Oldest first: what a starting gateway goes on with."""


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
