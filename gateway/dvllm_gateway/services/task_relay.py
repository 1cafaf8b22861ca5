"""One running answer, told to everybody who listens, from its first word on."""

import asyncio
import time
from collections.abc import AsyncIterator

from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from dvllm_gateway.errors import GatewayError, TaskFailed
from dvllm_gateway.services.own_time import waiting, woken_late
from dvllm_gateway.services.tasks import StreamEnd, TextChunk

SPARE_CHUNKS = 64  # such as a last one without a token of its own


class Relay:
    """What was told once is never taken back: an answer that differs from it is a failure.

    Listeners read from one list, each at its own pace, so memory is bounded by the answer; `fits`
    tells of a node's words whether an answer can have them.
    """

    def __init__(self) -> None:
        self._chunks: list[TextChunk] = []
        self._text = ""
        self._parts: list[str] = []
        self._n_characters = 0
        self._n_tokens = 0
        self._end: StreamEnd | GatewayError | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._over_at_s = 0.0

    @property
    def is_over(self) -> bool:
        return self._end is not None

    @property
    def n_tokens(self) -> int:
        return self._n_tokens

    @property
    def text(self) -> str:
        """All that was told so far."""
        if self._parts:
            self._text += "".join(self._parts)
            self._parts = []
        return self._text

    def fits(self, text: str, *, max_tokens: int) -> bool:
        has_room = len(self._chunks) < 2 * max_tokens + SPARE_CHUNKS
        return has_room and self._n_characters + len(text) <= MAX_RESPONSE_BYTES

    def say(self, text: str, n_tokens: int) -> None:
        if self.is_over:
            return
        self._parts.append(text)
        self._n_characters += len(text)
        self._n_tokens += n_tokens
        self._chunks.append(TextChunk(text, n_tokens))
        self._ring()

    def complete(self, text: str, end: StreamEnd) -> None:
        """The whole answer is known: says what is missing of it, and the end."""
        if self.is_over:
            return
        told = self.text
        if not text.startswith(told):
            self.fail(TaskFailed("the answer is not what was streamed of it", task_created=True))
            return
        if len(text) > len(told):
            self.say(text[len(told) :], max(0, end.usage.n_output_tokens - self._n_tokens))
        self._finish(end)

    def fail(self, error: GatewayError) -> None:
        if not self.is_over:
            self._finish(error)

    async def end(self) -> StreamEnd:
        """For who waits for all of it: no word on the way wakes it. Raises as `listen`."""
        with waiting():
            if not self.is_over:
                await self._over.wait()
                woken_late(due_at_s=self._over_at_s)
        if isinstance(self._end, GatewayError):
            raise self._end
        assert self._end is not None
        return self._end

    async def listen(self) -> AsyncIterator[TextChunk | StreamEnd]:
        """From the first word. Raises the error the answer ended with."""
        index = 0
        while True:
            while index < len(self._chunks):
                yield self._chunks[index]
                index += 1
            if isinstance(self._end, GatewayError):
                raise self._end
            if self._end is not None:
                yield self._end
                return
            with waiting():
                await self._news.wait()

    def _finish(self, end: StreamEnd | GatewayError) -> None:
        self._end = end
        self._over_at_s = time.perf_counter()
        self._over.set()
        self._ring()

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
