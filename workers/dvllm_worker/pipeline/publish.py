"""Publish: make the answer on this disk readable by its CID."""

from dvllm_worker.pipeline.ports import AnswerShelf
from dvllm_worker.pipeline.results import Generation, PublishedResult


class Publish:
    def __init__(self, shelf: AnswerShelf) -> None:
        self._shelf = shelf

    async def __call__(self, generation: Generation) -> PublishedResult:
        """Raises ContentUnavailable, ContentMismatch and StorageFull."""
        prompt_cid = generation.job.row.request.prompt_cid
        await self._shelf.publish(generation.response_cid, prompt_cid=prompt_cid)
        return PublishedResult(generation.job, generation.response_cid, generation.usage)
