"""What the listener knows of jobs."""

import re
from typing import Protocol

from aiohttp import web

from decentralized_vllm.protocol.ids import JobId
from dvllm_worker.pipeline.rows import JobRow

_NUMBER = re.compile(r"[0-9]{1,78}")


class KnownJobs(Protocol):
    def latest(self, job_id: JobId) -> JobRow | None: ...


def job_id_of(request: web.Request) -> JobId:
    """Raises HTTPNotFound for what is no number."""
    text = request.match_info["job_id"]
    if not _NUMBER.fullmatch(text):
        raise web.HTTPNotFound()
    return JobId(int(text))
