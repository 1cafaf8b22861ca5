"""Ends the process at a chosen transition, so that tests can prove what a restart makes of it."""

import os
from collections.abc import Sequence
from typing import Any, NoReturn

from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Cid, JobId
from dvllm_worker.pipeline.ports import Journal
from dvllm_worker.pipeline.rows import JobKey, JobRow
from dvllm_worker.pipeline.stages import Stage

KILLED = 137  # what a shell reports for kill -9


class CrashingJournal:
    """A journal that dies `before:<stage>` or `after:<stage>` was written, like kill -9 would."""

    def __init__(self, journal: Journal, fault_at: str) -> None:
        moment, _, stage = fault_at.partition(":")
        if moment not in ("before", "after") or stage not in list(Stage):
            raise SettingError("FAULT_AT", "must be before:<stage> or after:<stage>")
        self._journal = journal
        self._moment = moment
        self._stage = Stage(stage)
        self._dies_when_settled = False

    def open_rows(self) -> Sequence[JobRow]:
        return self._journal.open_rows()

    def find(self, key: JobKey) -> JobRow | None:
        return self._journal.find(key)

    def latest(self, job_id: JobId) -> JobRow | None:
        return self._journal.latest(job_id)

    async def answer(self, cid: Cid) -> bytes | None:
        return await self._journal.answer(cid)

    async def put(self, rows: Sequence[JobRow]) -> None:
        hit = any(row.stage is self._stage for row in rows)
        self._crash_if(hit, "before")
        await self._journal.put(rows)
        self._crash_if(hit, "after")

    def enter(self, rows: Sequence[JobRow]) -> None:
        hit = any(row.stage is self._stage for row in rows)
        self._crash_if(hit, "before")
        self._journal.enter(rows)
        self._dies_when_settled = self._dies_when_settled or hit

    async def settle(self) -> None:
        await self._journal.settle()
        self._crash_if(self._dies_when_settled, "after")

    async def move(self, row: JobRow, stage: Stage, **facts: Any) -> JobRow:
        hit = stage is self._stage
        self._crash_if(hit, "before")
        moved = await self._journal.move(row, stage, **facts)
        self._crash_if(hit, "after")
        return moved

    def note(self, row: JobRow, stage: Stage, **facts: Any) -> JobRow:
        hit = stage is self._stage
        self._crash_if(hit, "before")
        noted = self._journal.note(row, stage, **facts)
        self._crash_if(hit, "after")
        return noted

    async def forget(self, keys: Sequence[JobKey]) -> None:
        await self._journal.forget(keys)

    def _crash_if(self, hit: bool, moment: str) -> None:
        if hit and moment == self._moment:
            _die()


def _die() -> NoReturn:
    os._exit(KILLED)
