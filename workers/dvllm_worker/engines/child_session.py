"""One life of the transformers child: orders out, events in, and who waits for which."""

import asyncio
import itertools
from collections.abc import AsyncGenerator

from decentralized_vllm.protocol.errors import EngineRefused, EngineUnavailable, PromptTooLong
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    GenerationChunk,
    GenerationRequest,
)
from dvllm_worker.engines.process import ChildProcess
from dvllm_worker.engines.stalls import StallWatch
from dvllm_worker.engines.wire import (
    MAX_ORDER_BYTES,
    Alive,
    Cancel,
    Ended,
    Event,
    Failed,
    Order,
    Piece,
    Ready,
    Refused,
    command_line,
    read_event,
)

CLOSE_GRACE_S = 2.0


class ChildSession:
    """Gives the child no more orders at once than it has slots; the others wait here."""

    def __init__(
        self, child: ChildProcess, ready: Ready, *, n_slots: int, token_timeout_s: float
    ) -> None:
        self.pid = child.pid
        self._child = child
        self._ready = ready
        self._free_slots = asyncio.Semaphore(n_slots)
        self._watch = StallWatch(token_timeout_s, asyncio.get_running_loop().time)
        self._open: dict[int, asyncio.Queue[Event]] = {}
        self._numbers = itertools.count(1)
        self._over: str | None = None
        self._reader = asyncio.create_task(self._read_events(), name="events of the engine")
        self._watcher = asyncio.create_task(self._kill_if_stalled(), name="watch of the engine")

    @property
    def identity(self) -> EngineIdentity:
        return self._ready.identity

    async def ended(self) -> str:
        return await asyncio.shield(self._reader)

    async def close(self) -> None:
        for task in (self._watcher, self._reader):
            task.cancel()
        await asyncio.gather(self._watcher, self._reader, return_exceptions=True)
        await self._child.close(grace_s=CLOSE_GRACE_S)

    async def answer(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        await self._free_slots.acquire()
        if self._over is not None:
            self._free_slots.release()  # wakes the next in line, to hear the same
            raise EngineUnavailable(f"the engine {self._over}")
        number = next(self._numbers)
        events = self._open[number] = asyncio.Queue()
        self._watch.begin(number)
        try:
            await self._send_order(number, request)
            while chunk := _chunk(await events.get()):
                yield chunk
        finally:
            if number in self._open and self._over is None:
                self._child.stdin.write(command_line(Cancel(number)))

    async def _send_order(self, number: int, request: GenerationRequest) -> None:
        line = command_line(
            Order(
                number,
                request.parameters,
                request.messages,
                request.prompt,
                request.inputs,
                request.token_ids,
            )
        )
        if len(line) > MAX_ORDER_BYTES:
            self._end(number)
            raise PromptTooLong(
                f"the prompt is too large: as JSON {len(line)} bytes, more than {MAX_ORDER_BYTES}"
            )
        try:
            self._child.stdin.write(line)
            await self._child.stdin.drain()
        except ConnectionError as error:
            raise EngineUnavailable("the engine ended") from error

    async def _read_events(self) -> str:
        """Until the child's end, whose reason it returns; nobody is left waiting behind it."""
        reason = "was stopped"
        try:
            reason = await self._dispatch_all()
        finally:
            self._over = self._over or reason
            for number in list(self._open):
                self._open[number].put_nowait(Failed(number, f"the engine {self._over}"))
                self._end(number)
        return self._over

    async def _dispatch_all(self) -> str:
        try:
            while line := await self._child.stdout.readline():
                self._dispatch(read_event(line))
        except ValueError as error:  # not an event, or a line without an end
            self._child.kill()
            return f"was ended, since it broke the protocol: {error}"
        return await self._child.ended()

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, Ready) or event.number not in self._open:
            return
        self._watch.beat(event.number)
        if isinstance(event, Alive):
            return
        self._open[event.number].put_nowait(event)
        if isinstance(event, Ended):
            self._end(event.number)

    def _end(self, number: int) -> None:
        """Only now is the slot free: a cancelled order still computes until the child says so."""
        del self._open[number]
        self._watch.end(number)
        self._free_slots.release()

    async def _kill_if_stalled(self) -> None:
        await self._watch.stalled()
        self._over = f"was hung: no token for {self._watch.timeout_s:g} s"
        self._child.kill()


def _chunk(event: Event) -> GenerationChunk | None:
    """None at the end. Raises the error that an event tells of."""
    if isinstance(event, Refused):
        raise (PromptTooLong if event.is_too_long else EngineRefused)(event.message)
    if isinstance(event, Failed):
        raise EngineUnavailable(event.message)
    if isinstance(event, Piece):
        return GenerationChunk(
            text=event.text,
            token_ids=event.token_ids,
            n_prompt_tokens=event.n_prompt_tokens,
            finish_reason=event.finish_reason,
            logprobs=event.logprobs,
            prompt_logprobs=event.prompt_logprobs,
        )
    return None
