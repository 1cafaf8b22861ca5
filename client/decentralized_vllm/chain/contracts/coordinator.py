"""InferenceCoordinator: the ledger, the jobs and the duty of nodes, as typed reads."""

from collections.abc import Mapping, Sequence
from typing import Any

from decentralized_vllm.chain.codec import checksummed, contract_abi
from decentralized_vllm.chain.contracts.reader import Block, ContractReader
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import PermanentError, UnknownJob, UnknownModel
from decentralized_vllm.protocol.ids import (
    Address,
    Cid,
    JobId,
    ModelId,
    VersionNumber,
    Wei,
)
from decentralized_vllm.protocol.jobs import JobState, JobStatus, Terms
from decentralized_vllm.protocol.models import CurrentVersion, ModelVersion
from decentralized_vllm.protocol.nodes import Clocks, NodeAccount


class Coordinator:
    """Reads at the latest block unless one is given. Raises ChainUnavailable and AbiMismatch."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.address = address
        self._contract = ContractReader(rpc, contract_abi("InferenceCoordinator"), address)

    async def token(self) -> Address:
        return Address((await self._contract.read("token()"))[0])

    async def model_registry(self) -> Address:
        return Address((await self._contract.read("modelRegistry()"))[0])

    async def node_registry(self) -> Address:
        return Address((await self._contract.read("nodeRegistry()"))[0])

    async def clocks(self) -> Clocks:
        return Clocks(*(await self._contract.read("clocks()"))[0])

    async def credit(self, account: Address) -> Wei:
        return Wei((await self._contract.read("credit(address)", account))[0])

    async def job(self, job_id: JobId, *, block: Block = None) -> JobState:
        """Raises UnknownJob."""
        return (await self.jobs([job_id], block=block))[0]

    async def jobs(self, job_ids: Sequence[JobId], *, block: Block = None) -> list[JobState]:
        """One round trip. Raises UnknownJob if one of them does not exist."""
        states = await self.known_jobs(job_ids, block=block)
        return [_checked(job_id, states) for job_id in job_ids]

    async def known_jobs(
        self, job_ids: Sequence[JobId], *, block: Block = None
    ) -> dict[JobId, JobState]:
        """Those that exist, in one round trip."""
        reads = [("job(uint256)", [job_id]) for job_id in job_ids]
        outcomes = await self._contract.read_each(reads, block=block)
        states = [_job_state(i, outcome) for i, outcome in zip(job_ids, outcomes, strict=True)]
        return {state.job_id: state for state in states if state is not None}

    async def job_count(self) -> int:
        return int((await self._contract.read("jobCount()"))[0])

    async def max_job_life_s(self, version: VersionNumber) -> int:
        return int((await self._contract.read("maxJobLife(uint256)", version))[0])

    async def node(self, operator: Address, *, block: Block = None) -> NodeAccount:
        answer = await self._contract.read("node(address)", operator, block=block)
        return _node_account(operator, answer[0])

    async def is_eligible(self, operator: Address, version: VersionNumber, escrow_wei: Wei) -> bool:
        """Whether the node could be leased a job with this escrow of this version now."""
        answer = await self._contract.read(
            "isEligible(address,uint256,uint256)", operator, version, escrow_wei
        )
        return bool(answer[0])

    async def joined_versions(self, operator: Address) -> tuple[VersionNumber, ...]:
        answer = await self._contract.read("joinedVersions(address)", operator)
        return tuple(VersionNumber(number) for number in answer[0])

    async def version(self, number: VersionNumber) -> ModelVersion:
        return _model_version(number, (await self._contract.read("version(uint256)", number))[0])

    async def version_count(self) -> int:
        return int((await self._contract.read("versionCount()"))[0])

    async def current_version(self, model_id: ModelId) -> CurrentVersion:
        """Raises UnknownModel."""
        answer = await self._contract.read("currentVersion(string)", model_id)
        current, announced = (VersionNumber(number) for number in answer)
        if not current:
            raise UnknownModel(f"there is no model {model_id!r}")
        return CurrentVersion(current, announced or None)

    async def entries_of(
        self, version: VersionNumber, offset: int, limit: int
    ) -> tuple[Address, ...]:
        """A page of the list that leases are drawn from: an operator is on it once per unit."""
        answer = await self._contract.read(
            "entriesOf(uint256,uint256,uint256)", version, offset, limit
        )
        return tuple(Address(checksummed(operator)) for operator in answer[0])

    async def stake_unit(self) -> Wei:
        return Wei((await self._contract.read("stakeUnit()"))[0])

    async def publisher_bond(self) -> Wei:
        return Wei((await self._contract.read("publisherBond()"))[0])

    async def current_epoch(self) -> int:
        return int((await self._contract.read("currentEpoch()"))[0])

    async def new_work_is_paused(self) -> bool:
        return bool((await self._contract.read("newWorkPaused()"))[0])


def _checked(job_id: JobId, states: Mapping[JobId, JobState]) -> JobState:
    if job_id not in states:
        raise UnknownJob(f"there is no job {job_id}")
    return states[job_id]


def _job_state(job_id: JobId, outcome: tuple[Any, ...] | PermanentError) -> JobState | None:
    """None for a job that does not exist; it says nothing of the others it is asked with."""
    if isinstance(outcome, UnknownJob):
        return None
    if isinstance(outcome, PermanentError):
        raise outcome
    (fields,) = outcome
    requester, node, until_s, version, status, attempts, share, is_final, escrow, digest = fields
    if status == JobStatus.NONE:
        return None
    return JobState(
        job_id=job_id,
        requester=Address(checksummed(requester)),
        node=Address(checksummed(node)),
        until_s=until_s,
        version=VersionNumber(version),
        status=JobStatus(status),
        attempts=attempts,
        share=share,
        is_final=is_final,
        escrow_wei=Wei(escrow),
        digest=digest,
    )


def _node_account(operator: Address, fields: tuple[Any, ...]) -> NodeAccount:
    number, payout, slots, in_flight, stake, locked, cooling, *rest = fields
    cooling_until_s, locked_until_s, escrow_in_flight, pending_earnings, is_suspended = rest
    return NodeAccount(
        operator=operator,
        number=number,
        payout=Address(checksummed(payout)),
        slots=slots,
        n_in_flight=in_flight,
        stake_wei=Wei(stake),
        locked_wei=Wei(locked),
        cooling_wei=Wei(cooling),
        cooling_until_s=cooling_until_s,
        locked_until_s=locked_until_s,
        escrow_in_flight_wei=Wei(escrow_in_flight),
        pending_earnings_wei=Wei(pending_earnings),
        is_suspended=is_suspended,
    )


def _model_version(number: VersionNumber, fields: tuple[Any, ...]) -> ModelVersion:
    model_id, model_cid, terms, n_entries, serves_from_s = fields
    return ModelVersion(
        number=number,
        model_id=ModelId(model_id),
        model_cid=Cid(model_cid),
        terms=Terms(*terms),
        n_entries=n_entries,
        serves_from_s=serves_from_s,
    )
