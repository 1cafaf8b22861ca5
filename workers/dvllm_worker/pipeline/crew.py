"""The leases being worked on: one task each, started once, and ended in order when stopping."""

import asyncio
import logging
from collections.abc import Callable

from decentralized_vllm.protocol.errors import DvllmError
from dvllm_worker.pipeline.lease_run import LeaseRun, Workshop
from dvllm_worker.pipeline.rows import JobKey, JobRow

log = logging.getLogger(__name__)


class Crew:
    """Runs leases side by side. A run that fails for want of chain or disk is left to the sweep."""

    def __init__(self, group: asyncio.TaskGroup, workshop: Workshop) -> None:
        self._group = group
        self._workshop = workshop
        self._runs: dict[JobKey, LeaseRun] = {}
        self._tasks: dict[JobKey, asyncio.Task[None]] = {}
        self._is_draining = False

    @property
    def n_running(self) -> int:
        return len(self._tasks)

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    def is_running(self, key: JobKey) -> bool:
        return key in self._tasks

    def start(self, row: JobRow) -> None:
        """Does nothing when this lease is being worked on already."""
        if row.key in self._tasks:
            return
        run = LeaseRun(row, self._workshop)
        if self._is_draining:
            run.hurry()
        self._runs[row.key] = run
        task = self._group.create_task(self._guarded(run, row), name=f"job {row.job_id}")
        self._tasks[row.key] = task
        task.add_done_callback(self._ended(row.key))

    def stop(self, key: JobKey) -> None:
        """Drops a lease that is no longer ours; the engine stops too."""
        task = self._tasks.get(key)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """Drops everything at once; the journal knows where to go on."""
        for task in self._tasks.values():
            task.cancel()

    async def drain(self, *, grace_s: float, mined_s: float) -> int:
        """Lets leases finish for `grace_s`, then has the rest handed back, and waits for that.

        Until they are over and `mined_s` longer: a chain that stands still would keep us for ever.
        Returns how many are left to the journal then.
        """
        self._is_draining = True
        await self._wait(grace_s)
        for run in self._runs.values():
            run.hurry()
        clock, rows = self._workshop.clock, self._workshop.journal.open_rows()
        ends_s = mined_s + max((row.until_s for row in rows if row.key in self._tasks), default=0)
        while self._tasks and (left_s := ends_s - clock.now_s()) > 0:
            await self._wait(left_s)
        return len(self._tasks)

    async def _wait(self, timeout_s: float) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout_s)

    def _ended(self, key: JobKey) -> Callable[[asyncio.Task[None]], None]:
        def forget(_: asyncio.Task[None]) -> None:
            self._tasks.pop(key, None)
            self._runs.pop(key, None)

        return forget

    async def _guarded(self, run: LeaseRun, row: JobRow) -> None:
        """The supervisor of one lease: nothing that it raises may end the worker."""
        try:
            await run.run()
        except DvllmError as error:
            log.warning("job %s waits: %s", row.job_id, error, extra={"job_id": row.job_id})
        except Exception:
            log.exception("job %s is handed back", row.job_id, extra={"job_id": row.job_id})
            await self._abandon(run, row)

    async def _abandon(self, run: LeaseRun, row: JobRow) -> None:
        """A defect of ours must not become a no-show."""
        try:
            await run.abandon("this node failed on the job")
        except DvllmError as error:
            log.warning("job %s waits: %s", row.job_id, error, extra={"job_id": row.job_id})
