"""What a requester does for its own jobs while they run: offer blocks, and end the overdue."""

from decentralized_vllm.protocol.ids import Address, Cid, JobId
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from decentralized_vllm.requester.offers import BlockOffers
from decentralized_vllm.requester.overdue import OverdueJobs


class JobCare:
    """`offers` and `overdue` are None for a client without a key, or told to leave it."""

    def __init__(
        self, account: Address | None, offers: BlockOffers | None, overdue: OverdueJobs | None
    ) -> None:
        self._account = account
        self._offers = offers
        self._overdue = overdue
        self._prompts: dict[JobId, Cid] = {}

    def remember(self, job_id: JobId, prompt_cid: Cid) -> None:
        """The prompt's blocks are in our store."""
        self._prompts[job_id] = prompt_cid

    def known(self) -> list[JobId]:
        """Jobs submitted here whose end nobody has seen yet."""
        return list(self._prompts)

    def misses_prompt_of(self, state: JobState) -> bool:
        """Of a job of ours that an earlier client submitted: nobody else offers its prompt."""
        is_ours = self._offers is not None and state.requester == self._account
        return is_ours and state.status is JobStatus.LEASED and state.job_id not in self._prompts

    def forget(self, job_id: JobId) -> None:
        self._prompts.pop(job_id, None)

    def offer(self, job_id: JobId, node: Address) -> None:
        if self._offers is not None and job_id in self._prompts:
            self._offers.offer(job_id, self._prompts[job_id], node)

    async def look_after(self, state: JobState) -> None:
        """Raises ChainUnavailable."""
        if state.requester != self._account:
            return
        if state.status is JobStatus.LEASED:
            self.offer(state.job_id, state.node)
        if self._overdue is not None:
            await self._overdue.expire_if_due(state)
