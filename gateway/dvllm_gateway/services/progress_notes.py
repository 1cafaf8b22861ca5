"""Progress of running tasks on its way to the database, behind those who wait for it."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from dvllm_gateway.errors import RetryableGatewayError
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.stores import TaskStore
from dvllm_gateway.services.tasks import TaskRecord

log = logging.getLogger(__name__)

GATHER_S = 1.0
AT_ONCE = 64  # in one transaction: others wait for it


class ProgressNotes:
    """Only the newest note of each task is written, and none once the task has ended.

    What a crash loses of it the chain tells again; so nobody waits until it is kept, and a short
    task is written at its beginning and its end alone.
    """

    def __init__(self, store: TaskStore, *, gather_s: float = GATHER_S) -> None:
        self._store = store
        self._gather_s = gather_s
        self._newest: dict[TaskId, TaskRecord] = {}
        self._is_due = asyncio.Event()

    def note(self, record: TaskRecord) -> None:
        self._newest[record.id] = record
        self._is_due.set()

    def drop(self, task_id: TaskId) -> None:
        """Its end is written instead."""
        self._newest.pop(task_id, None)

    async def run(self) -> None:
        """Until cancelled, and then once more. An outage of the database is waited out."""
        try:
            await self._keep_writing()
        finally:
            with suppress(RetryableGatewayError):
                await self._write_all()

    async def _keep_writing(self) -> None:
        retries = Retries()
        while True:
            await self._is_due.wait()
            await asyncio.sleep(self._gather_s)
            try:
                await self._write_all()
                retries = Retries()
            except RetryableGatewayError as error:
                log.warning("progress_not_kept", extra={"reason": error.message})
                await retries.pause()

    async def _write_all(self) -> None:
        self._is_due.clear()
        try:
            newest = tuple(self._newest.values())
            for start in range(0, len(newest), AT_ONCE):
                some = newest[start : start + AT_ONCE]
                await self._store.update(some)
                self._are_kept(some)
        except BaseException:
            self._is_due.set()
            raise

    def _are_kept(self, records: Sequence[TaskRecord]) -> None:
        for record in records:
            if self._newest.get(record.id) is record:
                del self._newest[record.id]
