"""The JobChain port over RPC: jobs, their requests and terms, and chain time."""

from collections.abc import Sequence

from decentralized_vllm.chain.blocks import header_request, latest_header
from decentralized_vllm.chain.contracts.coordinator import Coordinator
from decentralized_vllm.chain.job_history import JobHistory
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.grouping import Grouped
from decentralized_vllm.protocol.errors import UnknownJob
from decentralized_vllm.protocol.events import InferenceRequested, JobEvent
from decentralized_vllm.protocol.ids import JobId, VersionNumber
from decentralized_vllm.protocol.jobs import JobState, Terms


class RpcJobChain:
    """Terms are immutable, so each version's are read once; jobs asked for together come so."""

    def __init__(self, rpc: Rpc, coordinator: Coordinator, history: JobHistory) -> None:
        self._rpc = rpc
        self._coordinator = coordinator
        self._history = history
        self._terms: dict[VersionNumber, Terms] = {}
        self._jobs = Grouped(self._read_jobs)

    async def job(self, job_id: JobId) -> JobState:
        """Raises UnknownJob."""
        return await self._jobs(job_id)

    async def _read_jobs(self, job_ids: Sequence[JobId]) -> list[JobState | Exception]:
        asked = self._rpc.healthiest()
        known = await self._coordinator.known_jobs(job_ids)
        if len(known) < len(set(job_ids)) and await self._rpc.is_left(asked):
            known = await self._coordinator.known_jobs(job_ids)
        return [known.get(i) or UnknownJob(f"there is no job {i}") for i in job_ids]

    async def request(self, job_id: JobId) -> InferenceRequested:
        return await self._history.request(job_id)

    async def events(self, job_id: JobId) -> tuple[JobEvent, ...]:
        """Everything told of the job so far, its request first. Raises UnknownJob."""
        return await self._history.events(job_id)

    async def terms(self, version: VersionNumber) -> Terms:
        if version not in self._terms:
            self._terms[version] = (await self._coordinator.version(version)).terms
        return self._terms[version]

    async def chain_time_s(self) -> int:
        return latest_header((await self._rpc.batch([header_request()]))[0]).timestamp_s
