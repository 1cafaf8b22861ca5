"""What holds when everything is calm again, whatever went wrong before."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Table, select

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.contracts.reader import ContractReader
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.request_history import RequestHistory
from decentralized_vllm.protocol.ids import Address, JobId, Wei
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.stores import Movement
from dvllm_gateway.services.tasks import TaskState
from dvllm_gateway.state import open_database, tables
from tests.support.soak.users import MARKER, expected_answer

HAND_BACK_DIVISOR = 50  # of the escrow, for a prompt that no node could use (rules of a job)


@dataclass(frozen=True)
class Books:
    """All a stopped gateway has written down."""

    accounts: Sequence[Row[Any]]
    ledger: Sequence[Row[Any]]
    tasks: Sequence[Row[Any]]
    texts: Mapping[str, Row[Any]]
    deposits: Sequence[Row[Any]]

    def deposited_wei(self, account: AccountId) -> int:
        return sum(row.amount_wei for row in self.deposits if row.account == account)

    @property
    def deposits_wei(self) -> int:
        return sum(row.amount_wei for row in self.deposits)

    @property
    def costs_wei(self) -> int:
        return sum(task.cost_wei for task in self.tasks)


async def books_of(database: Path) -> Books:
    async with open_database(database) as opened:

        async def rows(table: Table) -> Sequence[Row[Any]]:
            return await opened.read(lambda tx: tx.execute(select(table)).all())

        texts = {row.task_id: row for row in await rows(tables.task_text)}
        return Books(
            await rows(tables.account),
            await rows(tables.ledger),
            await rows(tables.task),
            texts,
            await rows(tables.deposit),
        )


# -------------------------------------------------------------------- the gateway's books
def check_tasks(books: Books, promised: set[str]) -> None:
    """Every accepted task is over: answered, or free of charge; and no prompt made two."""
    kept = {f"task_{task.id}" for task in books.tasks}
    assert promised <= kept, f"the gateway lost {promised - kept}"
    prompts = Counter(text.prompt for text in books.texts.values())
    assert [prompt for prompt, count in prompts.items() if count > 1] == []
    for task in books.tasks:
        state, text = TaskState(task.state), books.texts[task.id]
        assert state.is_over, f"task {task.id} (job {task.job_id}) is {task.state}"
        if state is TaskState.COMPLETED:
            assert 0 < task.cost_wei <= task.reserved_wei
            assert text.response == expected_answer(text.prompt)
        else:
            assert (task.cost_wei, text.response) == (0, None)


def check_ledger(books: Books) -> None:
    """What came in is there or spent, nothing is reserved, and nothing was charged twice."""
    of_account = defaultdict(list)
    of_task: dict[str, Counter[Movement]] = defaultdict(Counter)
    for line in books.ledger:
        of_account[line.account].append(line)
        if line.task_id is not None:
            of_task[line.task_id][Movement(line.movement)] += 1
    for account in books.accounts:
        lines = of_account[account.id]
        came_in = sum(line.available_wei for line in lines if _comes_in(line))
        spent = sum(task.cost_wei for task in books.tasks if task.account == account.id)
        assert account.reserved_wei == 0
        assert came_in == account.available_wei + spent
        assert account.available_wei == sum(line.available_wei for line in lines)
        charged = -sum(line.reserved_wei for line in lines if line.movement == Movement.CHARGE)
        assert charged == spent
    assert all(count == 1 for moves in of_task.values() for count in moves.values())
    assert set(of_task) == {task.id for task in books.tasks}


def _comes_in(line: Row[Any]) -> bool:
    return line.movement in (Movement.GRANT, Movement.DEPOSIT, Movement.REVERSAL)


# -------------------------------------------------------------------- the chain
async def jobs_on(network: Network) -> Mapping[JobId, JobState]:
    n_jobs = await network.coordinator.job_count()
    return await network.coordinator.known_jobs([JobId(i) for i in range(1, n_jobs + 1)])


async def check_solvency(
    network: Network, jobs: Mapping[JobId, JobState], holders: Sequence[Address]
) -> None:
    """The coordinator has exactly the tokens that are somebody's (rules of a job, section 1)."""
    coordinator = network.coordinator
    reader = ContractReader(network.rpc, contract_abi("InferenceCoordinator"), coordinator.address)
    owed = int((await reader.read("collectableFees()"))[0])
    for holder in holders:
        node = await coordinator.node(holder)
        owed += await coordinator.credit(holder)
        owed += node.stake_wei + node.cooling_wei + node.pending_earnings_wei
    owed += sum(job.escrow_wei for job in jobs.values() if not job.status.is_over)
    assert await network.token.balance(coordinator.address) == owed


async def check_gateway_jobs(
    network: Network, jobs: Mapping[JobId, JobState], gateway: Address, books: Books
) -> None:
    """Each task went on chain once at most, and an answer that was paid for was shown."""
    requests = RequestHistory(network.rpc, network.coordinator.address, gateway)
    sent = await requests.between(0, await requests.latest_block())
    of_tasks = [JobId(task.job_id) for task in books.tasks if task.job_id is not None]
    assert sorted(of_tasks) == sorted(request.job_id for request in sent)
    for task in books.tasks:
        status = None if task.job_id is None else jobs[JobId(task.job_id)].status
        is_answered = task.state == TaskState.COMPLETED
        assert is_answered == (status is JobStatus.DELIVERED), f"{task.id} {task.state}: {status}"


async def check_gateway_money(
    network: Network,
    jobs: Mapping[JobId, JobState],
    gateway: Address,
    books: Books,
    funds_wei: Wei,
) -> None:
    """What the gateway's key has is what it got, less what its tasks cost on chain."""
    wallet = await network.token.balance(gateway) + await network.coordinator.credit(gateway)
    charges = sum(
        Wei(job.escrow_wei // HAND_BACK_DIVISOR)
        for job in jobs.values()
        if job.requester == gateway and job.status is JobStatus.FAILED
    )
    assert wallet == funds_wei + books.deposits_wei - books.costs_wei - charges


def check_all_over(jobs: Mapping[JobId, JobState]) -> None:
    assert [job for job in jobs.values() if not job.status.is_over] == []


# -------------------------------------------------------------------- logs
def check_log(name: str, text: str, secrets: Sequence[str]) -> None:
    assert "Traceback" not in text, f"{name}: {_around(text, 'Traceback')}"
    assert MARKER not in text, f"{name}: {_around(text, MARKER)}"
    shown = [secret for secret in secrets if secret.removeprefix("0x") in text]
    assert not shown, f"{name} logged a key"


def _around(text: str, word: str) -> str:
    at = text.index(word)
    return text[max(0, at - 500) : at + 3000]
