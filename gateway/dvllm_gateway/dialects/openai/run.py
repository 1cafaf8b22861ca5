"""The tasks behind one call: all of them begin or none, and nobody works for one who hung up."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from decentralized_vllm.protocol.errors import InvalidResponse
from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.protocol.tools import ToolCall, Tools, check_calls
from dvllm_gateway.errors import GatewayError, TaskFailed, TaskTimeout
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.ports import Tasks
from dvllm_gateway.services.pricing import PricedError
from dvllm_gateway.services.task_endings import why_failed
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord, TaskRequest, TextChunk

ITEMS_AHEAD = 64

Item = tuple[int, TextChunk | StreamEnd]
CountUsage = Callable[[Usage], Awaitable[None]]
CountLater = Callable[[Tasks, AccountId, TaskId, CountUsage], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, verified against the node's receipt; `document` is there if asked for.

    `calls` of tools are those that were offered.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    task: TaskRecord
    document: ResponseDocument | None = None
    calls: tuple[ToolCall, ...] = ()


class Run:
    """One call's tasks, in the order of its choices. `count` is told what each answer used.

    All of them offer the same `tools`. Listens as soon as anything is waited for, and once; `close`
    it.
    """

    def __init__(
        self,
        tasks: Tasks,
        account: AccountId,
        records: Sequence[TaskRecord],
        count: CountUsage,
        tools: Tools | None = None,
    ) -> None:
        self._tools = tools
        self._tasks = tasks
        self._account = account
        self._count = count
        self.records = tuple(records)
        self._arrived: asyncio.Queue[Item | BaseException | None] = asyncio.Queue(ITEMS_AHEAD)
        self._followers: Sequence[asyncio.Task[Any]] = ()
        self._uncounted = {record.id for record in records}

    async def wait_submitted(self, timeout_s: float) -> None:
        """Until the jobs are on chain, as `records` then tell. Raises as `answers`."""
        self._listen()  # the node may begin before the chain's word has gone through the books
        self.records = tuple(
            [
                await self._tasks.wait_submitted(self._account, record.id, timeout_s)
                for record in self.records
            ]
        )
        for record in self.records:
            if record.failure is not None:
                raise why_failed(record)

    async def document(self, task: TaskRecord) -> ResponseDocument:
        """All that the node signed. Raises NetworkUnavailable."""
        return await self._tasks.document(task)

    async def calls(self, end: StreamEnd) -> tuple[ToolCall, ...]:
        """What the answer asks to have called. Raises as `document`, and TaskFailed for a lie."""
        is_cut = end.finish_reason is FinishReason.LENGTH
        calls: tuple[ToolCall, ...] = ()
        if self._tools is not None and end.finish_reason is not FinishReason.STOP:
            calls = (await self.document(end.task)).tool_calls
        try:
            check_calls(self._tools, calls, is_cut=is_cut)
        except InvalidResponse as error:
            raise _no_answer(error.message) from error
        if self._tools is None and end.finish_reason is FinishReason.TOOL_CALLS:
            raise _no_answer("it calls tools that nobody offered")
        return calls

    async def answers_with_documents(self, timeout_s: float) -> list[Answer]:
        """Raises as `answers`, and NetworkUnavailable."""
        return [
            replace(answer, document=await self.document(answer.task))
            for answer in await self.answers(timeout_s)
        ]

    async def answers(self, timeout_s: float) -> list[Answer]:
        """Raises PromptTooLong, PromptRefused, TaskFailed, and TaskTimeout: they go on then."""
        try:
            async with asyncio.timeout(timeout_s):
                ends = await self._ends()
        except TimeoutError:
            raise TaskTimeout(
                f"no answer within {timeout_s:g} s; the task goes on", task_created=True
            ) from None
        return [await self._answer(end) for end in ends]

    async def items(self) -> AsyncGenerator[Item, None]:
        """Every piece as it comes, with the index of its choice. Raises as `answers`."""
        self._listen()
        n_open = len(self._followers)
        while n_open:
            match await self._arrived.get():
                case None:
                    n_open -= 1
                case BaseException() as failure:
                    raise failure
                case item:
                    yield item

    async def close(self, count_later: CountLater | None) -> None:
        """Nobody listens any more; what goes on still counts when it ends."""
        listening = [follower for follower in self._followers if not follower.done()]
        for follower in listening:
            follower.cancel()
        if listening:  # or else its caller, who has its answer, waits for a turn of the loop
            await asyncio.wait(listening)
        if count_later is not None:
            for task_id in self._uncounted:
                count_later(self._tasks, self._account, task_id, self._count)

    def _listen(self) -> None:
        if not self._followers:
            self._followers = [
                asyncio.create_task(self._follow(index, record.id))
                for index, record in enumerate(self.records)
            ]

    async def _ends(self) -> Sequence[StreamEnd]:
        if len(self.records) == 1:
            return [await self._end(self.records[0])]
        ending = [asyncio.create_task(self._end(record)) for record in self.records]
        self._followers = ending
        return await asyncio.gather(*ending)

    async def _end(self, record: TaskRecord) -> StreamEnd:
        end = await self._tasks.answer(self._account, record.id)
        await self._note_end(end, record.id)
        return end

    async def _answer(self, end: StreamEnd) -> Answer:
        calls = await self.calls(end)
        text = end.task.response or ""
        return Answer(text, end.finish_reason, end.usage, end.task, calls=calls)

    async def _note_end(self, end: StreamEnd, task_id: TaskId) -> None:
        self._uncounted.discard(task_id)
        await self._count(end.usage)

    async def _follow(self, index: int, task_id: TaskId) -> None:
        try:
            async for item in self._tasks.stream(self._account, task_id):
                if isinstance(item, StreamEnd):
                    await self._note_end(item, task_id)
                await self._arrived.put((index, item))
        except Exception as failure:  # whoever reads the queue raises it
            await self._arrived.put(failure)
        else:
            await self._arrived.put(None)


@asynccontextmanager
async def started(
    tasks: Tasks,
    account: AccountId,
    requests: Sequence[TaskRequest],
    count: CountUsage,
    *,
    count_later: CountLater | None = None,
) -> AsyncIterator[Run]:
    """Raises as `Tasks.submit_all`. Who is cancelled in here leaves no task to be answered."""
    records = await tasks.submit_all(account, requests)
    run = Run(tasks, account, records, count, requests[0].document.tools)
    try:
        yield run
    except PricedError:  # nothing was begun that could use tokens
        count_later = None
        raise
    except (asyncio.CancelledError, ConnectionError):
        await asyncio.shield(_give_up(tasks, account, records))
        raise
    finally:
        await run.close(count_later)


def _no_answer(reason: str) -> TaskFailed:
    """Paid for on chain all the same, so it must not be asked for again of itself."""
    return TaskFailed(f"the node's answer is none: {reason}", task_created=True)


async def _give_up(tasks: Tasks, account: AccountId, records: Sequence[TaskRecord]) -> None:
    """As far as it can be: an answer under way is paid like any other."""
    for record in records:
        try:
            await tasks.cancel(account, record.id)
        except GatewayError:
            continue  # over already, or out of reach: it ends by itself
