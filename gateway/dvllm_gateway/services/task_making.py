"""Makes tasks: priced, their money reserved, durable, begun. Several are made all or none."""

import asyncio
from collections.abc import Callable, Sequence

from dvllm_gateway.errors import (
    GatewayError,
    InsufficientBalance,
    InvalidRequest,
    NetworkUnavailable,
    RateLimited,
)
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.known_tasks import KnownTasks, owned
from dvllm_gateway.services.live_tasks import LiveTask, LiveTasks
from dvllm_gateway.services.stores import Assignment, TaskStore
from dvllm_gateway.services.task_crew import TaskCrew
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_market import Market, Quote
from dvllm_gateway.services.task_records import new_record
from dvllm_gateway.services.tasks import TaskRecord, TaskRequest


class TaskMaker:
    def __init__(
        self,
        store: TaskStore,
        live: LiveTasks,
        known: KnownTasks,
        crew: TaskCrew,
        limits: TaskLimits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._live = live
        self._known = known
        self._crew = crew
        self._limits = limits
        self._clock_ms = clock_ms

    async def make(
        self,
        account: AccountId,
        requests: Sequence[TaskRequest],
        task_ids: Sequence[TaskId] | None = None,
    ) -> tuple[TaskRecord, ...]:
        """See `submit_all` of the port."""
        market = self._crew.market()
        self._check_room(account, len(requests))
        quotes = await self._quotes(market, requests)
        if task_ids is not None and any(self._live.find(task_id) for task_id in task_ids):
            return tuple([await self._known.of(account, task_id) for task_id in task_ids])
        self._check_room(account, len(requests))  # others came while the price was asked for
        now_ms = self._clock_ms()
        ids: Sequence[TaskId | None] = task_ids or [None] * len(requests)
        records = [
            new_record(account, request, quote, task_id, now_ms=now_ms)
            for request, quote, task_id in zip(requests, quotes, ids, strict=True)
        ]
        assignments = [_assignment(market, *each) for each in zip(requests, quotes, strict=True)]
        return await self._begun(
            account,
            [LiveTask.of(*each) for each in zip(records, assignments, strict=True)],
            is_keyed=task_ids is not None,
        )

    async def preview(self, account: AccountId, request: TaskRequest) -> TaskRecord:
        quote = await self._quote(self._crew.market(), request)
        return new_record(account, request, quote, None, now_ms=self._clock_ms())

    async def _quotes(self, market: Market, requests: Sequence[TaskRequest]) -> list[Quote]:
        """Each writes and hashes a document, perhaps a long one: others are served in between."""
        quotes = [await self._quote(market, requests[0])]
        for request in requests[1:]:
            await asyncio.sleep(0)
            quotes.append(await self._quote(market, request))
        return quotes

    async def _quote(self, market: Market, request: TaskRequest) -> Quote:
        """Nothing is reserved or sent yet, so who asks is told soon that nobody answers."""
        try:
            async with asyncio.timeout(self._limits.quote_wait_s):
                return await market.quote(request)
        except TimeoutError:
            raise NetworkUnavailable("the chain does not answer") from None

    def _check_room(self, account: AccountId, n_new: int) -> None:
        most, n_live = self._limits.live_per_account, self._live.count_of(account)
        if n_new > most:
            raise InvalidRequest(f"{n_new} tasks at once: an account may have {most}")
        if n_live + n_new > most:
            raise RateLimited(
                f"{n_live} tasks of yours run already, of {most} at once", retry_after_s=1
            )
        if len(self._live) + n_new > self._limits.live:
            raise RateLimited("too many tasks run already", retry_after_s=1)

    async def _begun(
        self, account: AccountId, tasks: Sequence[LiveTask], *, is_keyed: bool
    ) -> tuple[TaskRecord, ...]:
        records = tuple(task.record.value for task in tasks)
        for task in tasks:
            task.is_new = True
            self._live.add(task)  # counts at once: many may be on their way to the database
        try:
            await self._make_durable(tasks)
        except BaseException as error:
            for task in tasks:
                self._live.drop(task, error)
            # Who has a key asks again, and goes on with them.
            made = await self._made_all_the_same(tasks, error, is_wanted=is_keyed)
            if made is None:
                raise
            if made != records:  # by another process: it sends them, by a key of its own
                return tuple(owned(account, record) for record in made)
            tasks = [LiveTask.of(task.record.value, task.assignment) for task in tasks]
        for task in tasks:
            self._crew.start(task)
        return records

    async def _make_durable(self, tasks: Sequence[LiveTask]) -> None:
        new = [(task.record.value, task.assignment) for task in tasks]
        if len(new) > 1:
            await self._store.create_all(new)
        elif not await self._crew.store(tasks[0], self._store.creating(*new[0])):
            await self._store.create(*new[0])

    async def _made_all_the_same(
        self, tasks: Sequence[LiveTask], error: BaseException, *, is_wanted: bool
    ) -> tuple[TaskRecord, ...] | None:
        """Another process was quicker, or the database said nothing of what it did."""
        if isinstance(error, InsufficientBalance):
            return None
        for task in tasks:
            self._crew.doubt(task, is_wanted=is_wanted)
        if not isinstance(error, GatewayError):
            return None  # who is cancelled waits for nothing more
        found = [await self._store.get(task.record.value.id) for task in tasks]
        made = tuple(record for record in found if record is not None)
        if len(made) < len(tasks):
            return None
        for record in made:
            self._crew.doubt_no_more(record.id)
        return made


def _assignment(market: Market, request: TaskRequest, quote: Quote) -> Assignment:
    return Assignment(
        sender=market.sender,
        document=quote.document,
        ceiling_wei=quote.ceiling_wei,
        share=quote.share,
        node=request.node,
    )
