"""What the listener knows of jobs."""

import re
from typing import Protocol

from aiohttp import web

from decentralized_vllm.protocol.ids import JobId
from dvllm_worker.pipeline.rows import JobRow

APPEARS_WITHIN_S = 5.0

_NUMBER = re.compile(r"[0-9]{1,78}")


class KnownJobs(Protocol):
    def latest(self, job_id: JobId) -> JobRow | None: ...


class HearsOfJobs(Protocol):
    async def appears(self, job_id: JobId, *, within_s: float) -> None: ...


class JobsSoonKnown:
    """A requester sees its lease in the same block as this node, and may come a moment earlier."""

    def __init__(
        self, jobs: KnownJobs, news: HearsOfJobs, *, within_s: float = APPEARS_WITHIN_S
    ) -> None:
        self._jobs = jobs
        self._news = news
        self._within_s = within_s

    async def latest(self, job_id: JobId) -> JobRow | None:
        """Waits for a job that is not known yet, not for long and not for too many callers."""
        row = self._jobs.latest(job_id)
        if row is None:
            await self._news.appears(job_id, within_s=self._within_s)
            row = self._jobs.latest(job_id)
        return row


def job_id_of(request: web.Request) -> JobId:
    """Raises HTTPNotFound for what is no number."""
    text = request.match_info["job_id"]
    if not _NUMBER.fullmatch(text):
        raise web.HTTPNotFound()
    return JobId(int(text))
