"""The life of a running node: come up, work, and leave in good order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from decentralized_vllm.process.garbage import keep_what_is_built
from decentralized_vllm.process.stopping import StopSignals
from decentralized_vllm.process.supervision import keep_running
from decentralized_vllm.protocol.errors import DvllmError, RetryableError
from dvllm_worker.clock import ChainClock
from dvllm_worker.duty import Duty
from dvllm_worker.models.engine_room import EngineRoom
from dvllm_worker.models.served import ServedModel
from dvllm_worker.pipeline.crew import Crew
from dvllm_worker.pipeline.sweep import Sweep
from dvllm_worker.pipeline.watcher import Watcher
from dvllm_worker.resources.allotment import Allotment
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.suspension import Suspension

log = logging.getLogger(__name__)

RETRY_S = 2.0
LEAVING_S = 15.0  # at least, for the transaction that takes the slots away
LEAVING_BLOCKS = 4  # beside its confirmations


@dataclass(frozen=True, slots=True)
class Loops:
    """Loops beside the watcher, by name: each decides from state and may be started again."""

    side: Sequence[tuple[str, Callable[[], Awaitable[None]]]]


@dataclass(frozen=True, slots=True)
class Node:
    settings: WorkerSettings
    clock: ChainClock
    duty: Duty
    engines: EngineRoom
    crew: Crew
    sweep: Sweep
    watcher: Watcher
    loops: Loops
    models: Sequence[ServedModel]
    allotment: Allotment
    suspension: Suspension

    async def run(self, group: asyncio.TaskGroup, stops: StopSignals) -> None:
        """Returns after a drain. What the watcher raises ends the process: it must not skip."""
        for model in self.models:
            self.engines.serve(model)
        await self._until_chain_answers(self.sweep.once)
        tasks = [group.create_task(self.watcher.run(), name="watcher")]
        tasks += [
            group.create_task(keep_running(name, loop), name=name) for name, loop in self.loops.side
        ]
        opening = group.create_task(self._open_for_business(), name="opening")
        await stops.drain.wait()
        await self._cancel([opening])
        draining = group.create_task(self._drain(), name="drain")
        await _first_of(draining, stops.at_once)
        self.crew.stop_all()
        await self._cancel([draining, *tasks])
        await self.engines.stop()

    async def _open_for_business(self) -> None:
        """Takes duty on chain once the engines answer."""
        await self.engines.first_started()
        keep_what_is_built()
        while True:
            try:
                await self.allotment.offer()
                await self._join()
                is_suspended = await self.suspension.look()
                break
            except DvllmError as error:
                log.error("the node is not on duty yet: %s", error)
                await asyncio.sleep(RETRY_S)
        if not is_suspended:
            log.info("the node is on duty with %d slots", self.allotment.slots)

    async def _join(self) -> None:
        """More entries of its lists, for stake that was added; none are to be had without slots."""
        if self.allotment.slots_on_offer:
            for model in self.models:
                await self.duty.join(model.version)

    async def _drain(self) -> None:
        log.info("stopping: %d jobs are finished or handed back first", self.crew.n_running)
        if self.settings.node.pause_when_stopped:
            await self._leave_duty()
        n_left = await self.crew.drain(
            grace_s=self.settings.limits.drain_s,
            mined_s=self.duty.desk.network.clocks.grace_s + self._leaving_s,
        )
        if n_left:
            log.warning(
                "%d jobs are left to the next start: the chain has not confirmed their end, "
                "and their leases are over",
                n_left,
            )
        else:
            log.info("stopped in good order")

    @property
    def _leaving_s(self) -> float:
        """For some blocks, no longer: a chain that stands still would keep us for ever."""
        chain = self.settings.chain
        return max(LEAVING_S, (chain.confirmations + LEAVING_BLOCKS) * chain.block_time_s)

    async def _leave_duty(self) -> None:
        timeout_s = self._leaving_s
        try:
            async with asyncio.timeout(timeout_s):
                await self.duty.set_slots(0)
        except DvllmError as error:
            log.warning("the node is still offered on chain: %s", error)
        except TimeoutError:
            log.warning("the node is still offered on chain: not mined in %g s", timeout_s)

    async def _until_chain_answers(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await step()
            except RetryableError as error:
                log.warning("the journal waits for the chain: %s", error)
                await self.clock.sleep_s(RETRY_S)

    @staticmethod
    async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_of(task: asyncio.Task[None], event: asyncio.Event) -> None:
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
