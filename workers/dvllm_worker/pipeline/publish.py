"""Publish: make the answer on this disk readable by its CID."""

from decentralized_vllm.protocol.errors import ContentError, ContentUnavailable, DvllmError
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.pipeline.failures import NotPublished
from dvllm_worker.pipeline.ports import AnswerShelf
from dvllm_worker.pipeline.results import Generation, PublishedResult, ShelvedAnswer


class Publish:
    def __init__(self, shelf: AnswerShelf) -> None:
        self._shelf = shelf

    async def __call__(self, generation: Generation) -> PublishedResult:
        """Raises NotPublished and StorageFull."""
        prompt_cid = generation.job.row.request.prompt_cid
        try:
            await self._shelf.publish(generation.answer, prompt_cid=prompt_cid)
        except (ContentUnavailable, ContentError) as error:
            # The prompt was read: what is missing or damaged now is so on this node.
            raise _not_published(error) from error
        return PublishedResult(generation.job, generation.answer.cid, generation.usage)

    async def again(self, cid: Cid, document: bytes | None) -> ShelvedAnswer:
        """The answer of a process that ended: the journal's `document`, or the store has it.

        Raises NotPublished.
        """
        if document is not None:
            return self._shelf.shelve(document)
        try:
            return await self._shelf.found(cid)
        except (ContentUnavailable, ContentError) as error:
            raise _not_published(error) from error


def _not_published(error: DvllmError) -> NotPublished:
    return NotPublished(f"the answer can not be published: {error.message}")
