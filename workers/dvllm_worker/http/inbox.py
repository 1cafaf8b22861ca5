"""What one listener of a job has not been told yet."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

QUEUE_LENGTH = 512
QUEUE_LENGTH_OF_ALL = 32 * QUEUE_LENGTH  # of a requester's jobs together
MAX_PIECE_CHARACTERS = 256  # of words that wait together


@dataclass(frozen=True, slots=True)
class Notice:
    """One server-sent event. `name` is "stage", "text" or "end"."""

    name: str
    data: dict[str, Any]


class Inbox:
    """`async for notices in inbox`: all that came since the last time, at once.

    Words of a job that have to wait become one piece: who reads slowly, or while a block begins
    many jobs, is told in fewer notices. Ends after the notice named "end" where it is of one job,
    and early for a listener that does not keep up; it may come back for the whole.
    """

    def __init__(self, history: list[Notice], *, is_of_all: bool = False) -> None:
        self._notices = history
        self._is_of_all = is_of_all
        self._most = QUEUE_LENGTH_OF_ALL if is_of_all else QUEUE_LENGTH
        self._text_at: dict[str, int] = {}  # by job: where its last words wait, if nothing follows
        self._has_news = asyncio.Event()
        self._is_over = False
        self.wake()

    def put(self, notice: Notice) -> None:
        if self._is_over or self._joined(notice):
            return
        if len(self._notices) >= self._most:
            self._notices.clear()
            self._is_over = True
        else:
            self._notices.append(notice)
        self.wake()

    def _joined(self, notice: Notice) -> bool:
        """Whether it went into the words before it. A new notice: others have the old one, too."""
        job_id = notice.data["job_id"]
        at = self._text_at.pop(job_id, None)
        if notice.name != "text":
            return False
        if at is None or len(self._notices[at].data["text"]) >= MAX_PIECE_CHARACTERS:
            self._text_at[job_id] = len(self._notices)
            return False
        self._notices[at] = _together(self._notices[at], notice)
        self._text_at[job_id] = at
        return True

    def end(self) -> None:
        """After what it still has."""
        self._is_over = True
        self.wake()

    def wake(self) -> None:
        """The listener goes on, if only with nothing."""
        self._has_news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Notice]:
        if self._is_over and not self._notices:
            raise StopAsyncIteration
        await self._has_news.wait()
        self._has_news.clear()
        taken, self._notices = self._notices, []
        self._text_at.clear()
        if not self._is_of_all:
            self._is_over = self._is_over or any(notice.name == "end" for notice in taken)
        return taken


def _together(before: Notice, after: Notice) -> Notice:
    text = before.data["text"] + after.data["text"]
    n_tokens = before.data["n_tokens"] + after.data["n_tokens"]
    return Notice("text", {**before.data, "text": text, "n_tokens": n_tokens})
