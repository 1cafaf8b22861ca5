"""What the services keep. One call is one database transaction, durable when it returns."""

from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.protocol.ids import Address, JobId, Wei
from dvllm_gateway.ids import AccountId, TaskId
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
