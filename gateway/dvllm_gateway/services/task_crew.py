"""Keeps the tasks of one key running: one gateway process at a time, and after a restart again."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ids import Address
from dvllm_gateway.errors import GatewayError, NoCapacity
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.event_bus import Bus
from dvllm_gateway.services.latest import Latest
from dvllm_gateway.services.live_tasks import LiveTask, LiveTasks
from dvllm_gateway.services.progress_notes import ProgressNotes
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.stores import Along, LeaseStore, TaskStore
from dvllm_gateway.services.task_book import TaskBook
from dvllm_gateway.services.task_doubts import Doubts
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_market import Market
from dvllm_gateway.services.task_runner import TaskPatience, TaskRunner

log = logging.getLogger(__name__)

KEY_LEASE_S = 15.0


class KeyLost(Exception):
    """Another process has the key by now, or may have it soon."""


@dataclass(frozen=True, slots=True)
class _Duty:
    """Where tasks run while the key is held."""

    market: Market
    group: asyncio.TaskGroup


class TaskCrew:
    """`run` holds the key's lease, opens the market, and runs every task that is not over.

    `open_market` is entered only while the lease is held.
    """

    def __init__(
        self,
        sender: Address,
        open_market: Callable[[], AbstractAsyncContextManager[Market]],
        live: LiveTasks,
        store: TaskStore,
        leases: LeaseStore,
        bus: Bus,
        patience: TaskPatience | None = None,
        *,
        lease_s: float = KEY_LEASE_S,
    ) -> None:
        self._sender = sender
        self._open_market = open_market
        self._live = live
        self._store = store
        self._leases = leases
        self._bus = bus
        self._patience = patience or TaskPatience()
        self._lease_s = lease_s
        self._notes = ProgressNotes(store)
        self._lease_name = f"key {sender}"
        self._holder = uuid.uuid4().hex
        self._held_until_s = 0.0
        self._market: Latest[Market | None] = Latest(None)
        self._duty_now: _Duty | None = None
        self._doubts = Doubts(live, store, self.start)

    def market(self) -> Market:
        """Raises NoCapacity while another process has the key, or the chain was not reached yet."""
        if self._market.value is None:
            raise NoCapacity("this gateway takes no tasks now", retry_after_s=5)
        return self._market.value

    @property
    def is_on_duty(self) -> bool:
        return self._market.value is not None

    async def on_duty(self) -> None:
        """Returns when tasks are taken."""
        await self._market.until(lambda market: market is not None)

    async def store(self, task: LiveTask, along: Along) -> bool:
        """Whether a new task is durable now, by `along`, and its submission with it: else neither.

        Raises as the market's `store_with`.
        """
        task.stored = await self.market().store_with(task.order, along)
        return task.stored is not None

    def start(self, task: LiveTask) -> None:
        """Runs a task that is durable. Not if it was taken up from the database before."""
        known, duty = self._live.find(task.record.value.id), self._duty_now
        if duty is None:  # the key was lost meanwhile: whoever has it goes on with the task
            self._live.remove(task)
        elif known is None or known is task:
            self._live.add(task)
            duty.group.create_task(self._see_through(task, duty.market))

    def doubt(self, task: LiveTask, *, is_wanted: bool) -> None:
        """It may be durable or not. If it is, it is started; or ended, if nobody wants it."""
        self._doubts.note(task, is_wanted=is_wanted)

    def doubt_no_more(self, task_id: TaskId) -> None:
        """Whoever knows of it sees to it."""
        self._doubts.forget(task_id)

    def take_back(self, task: LiveTask) -> None:
        """Cancels its job, if it is open."""
        job = task.watch.value
        if self._duty_now is not None and isinstance(job, Job):
            self._duty_now.group.create_task(self._cancel(job))

    # ---------------------------------------------------------------- duty
    async def run(self) -> None:
        """Until cancelled."""
        retries = Retries()
        while True:
            try:
                await self._duty()
            except* KeyLost:
                log.warning("key_lost", extra={"sender": self._sender})
            except* (GatewayError, DvllmError) as errors:
                log.error("tasks_wait", extra={"reason": str(errors.exceptions[0])})
            await retries.pause()

    async def _duty(self) -> None:
        await self._acquire()
        log.info("key_held", extra={"sender": self._sender})
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_lease())
                group.create_task(self._watch_lease())
                await self._trade()
        finally:
            await self._leases.release(self._lease_name, self._holder)

    async def _trade(self) -> None:
        async with self._open_market() as market, asyncio.TaskGroup() as group:
            duty = self._duty_now = _Duty(market, group)
            group.create_task(self._notes.run())
            group.create_task(self._doubts.run())
            try:
                await self._take_up(duty)
                self._market.set(market)
                await asyncio.Event().wait()
            finally:
                self._duty_now = None
                self._market.set(None)
                self._live.leave_all()

    async def _take_up(self, duty: _Duty) -> None:
        """What a former process, or this one before an outage, left undone."""
        for record, assignment in await self._store.unfinished(self._sender):
            if self._live.find(record.id) is not None:
                continue  # just being submitted
            task = LiveTask.of(record, assignment)
            self._live.add(task)
            duty.group.create_task(self._see_through(task, duty.market))

    # ---------------------------------------------------------------- lease
    async def _acquire(self) -> None:
        while not await self._renewed():  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(self._lease_s / 5)

    async def _keep_lease(self) -> None:
        """Raises KeyLost when another has it."""
        while True:
            await asyncio.sleep(self._lease_s / 5)
            try:
                if not await self._renewed():
                    raise KeyLost
            except GatewayError as error:
                log.warning("lease_not_renewed", extra={"reason": error.message})

    async def _watch_lease(self) -> None:
        """Raises KeyLost in time: nobody else has the key before this process stops using it.

        Beside the renewals, of which one may get no answer at all.
        """
        while (left_s := self._left_s()) > 0:  # noqa: ASYNC110 - each renewal moves it on
            await asyncio.sleep(left_s)
        raise KeyLost

    def _left_s(self) -> float:
        """Until the key must not be used any more: some of its time goes into stopping."""
        held_s = self._held_until_s - asyncio.get_running_loop().time()
        return held_s - 2 * self._lease_s / 5

    async def _renewed(self) -> bool:
        asked_s = asyncio.get_running_loop().time()
        is_held = await self._leases.acquire(self._lease_name, self._holder, for_s=self._lease_s)
        if is_held:
            self._held_until_s = asked_s + self._lease_s
        return is_held

    # ---------------------------------------------------------------- one task
    async def _see_through(self, task: LiveTask, market: Market) -> None:
        book = TaskBook(task, self._live, self._store, self._bus, self._notes)
        retries = Retries(longest_s=60.0)
        while not task.record.value.state.is_over:
            try:
                await TaskRunner(task, market, book, self._patience).run()
            except Exception:  # a defect must not end the other tasks; this one is tried again
                log.exception("task_broke_off", extra={"task_id": task.record.value.id})
                await retries.pause()

    async def _cancel(self, job: Job) -> None:
        try:
            await self.market().cancel(job)
        except GatewayError as error:
            log.info("job_not_cancelled", extra={"job_id": job.id, "reason": error.message})
