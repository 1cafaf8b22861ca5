"""Publish: make the answer on this disk readable by its CID."""

from decentralized_vllm.protocol.errors import ContentError, ContentUnavailable
from dvllm_worker.pipeline.failures import NotPublished
from dvllm_worker.pipeline.ports import AnswerShelf
from dvllm_worker.pipeline.results import Generation, PublishedResult


class Publish:
    def __init__(self, shelf: AnswerShelf) -> None:
        self._shelf = shelf

    async def __call__(self, generation: Generation) -> PublishedResult:
        """Raises NotPublished and StorageFull."""
        prompt_cid = generation.job.row.request.prompt_cid
        try:
            await self._shelf.publish(generation.response_cid, prompt_cid=prompt_cid)
        except (ContentUnavailable, ContentError) as error:
            # The prompt was read: what is missing or damaged now is so on this node.
            raise NotPublished(f"the answer can not be published: {error.message}") from error
        return PublishedResult(generation.job, generation.response_cid, generation.usage)
