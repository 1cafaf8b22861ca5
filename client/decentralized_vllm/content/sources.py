"""Trying sources in order: which failure to report when all of them fail."""

import logging
from collections.abc import Sequence

from decentralized_vllm.content.http_client import Unanswered
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.protocol.errors import (
    ContentError,
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    DvllmError,
    RetryableError,
)
from decentralized_vllm.protocol.ids import Cid

_log = logging.getLogger(__name__)


class Absent(ContentUnavailable):
    """A source outside of this process works, and answered that it lacks the block."""


class OrderedReads(ContentReads):
    """Reads through sources in order and keeps nothing. It closes none of them."""

    def __init__(self, sources: Sequence[ContentReads]) -> None:
        self._sources = sources

    async def get_block(self, cid: Cid) -> bytes:
        _, block = await first_block(self._sources, cid)
        return block

    async def has_block(self, cid: Cid) -> bool:
        for source in self._sources:
            if await source.has_block(cid):
                return True
        return False


async def first_block(sources: Sequence[ContentReads], cid: Cid) -> tuple[int, bytes]:
    """(index of the source, verified block).

    Raises ContentMismatch if all that answered lied and none was merely without it, since then
    waiting won't help; else the ContentUnavailable that says most: Absent if any source answered
    so, Unanswered if any may still be looking, and itself if none could be asked.
    """
    failures: list[RetryableError | ContentError] = []
    for index, source in enumerate(sources):
        try:
            return index, await source.get_block(cid)
        except (RetryableError, ContentMismatch, ContentTooLarge) as error:
            if isinstance(error, ContentError):
                _log.warning("content_source_lies", extra={"cid": cid, "source": index})
            failures.append(error)
    reasons = "; ".join(dict.fromkeys(error.message for error in failures)) or "no source is known"
    if failures and all(isinstance(error, ContentError) for error in failures):
        raise ContentMismatch(f"no source has an honest copy of {cid}: {reasons}")
    raise _most_telling(failures)(f"no source has {cid}: {reasons}")


def _most_telling(failures: Sequence[DvllmError]) -> type[ContentUnavailable]:
    for kind in (Absent, Unanswered):
        if any(isinstance(error, kind) for error in failures):
            return kind
    return ContentUnavailable
