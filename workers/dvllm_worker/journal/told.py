"""Tells onlookers of every step in the journal, whoever took it: when it is durable, if asked."""

from collections.abc import Sequence
from typing import Any

from decentralized_vllm.protocol.ids import Cid, JobId
from dvllm_worker.pipeline.ports import Journal, Onlooker
from dvllm_worker.pipeline.rows import JobKey, JobRow
from dvllm_worker.pipeline.stages import Stage


class ToldJournal:
    """Jobs of others are nobody's news: what is merely seen is not told."""

    def __init__(self, journal: Journal, onlooker: Onlooker) -> None:
        self._journal = journal
        self._onlooker = onlooker

    def open_rows(self) -> Sequence[JobRow]:
        return self._journal.open_rows()

    def find(self, key: JobKey) -> JobRow | None:
        return self._journal.find(key)

    def latest(self, job_id: JobId) -> JobRow | None:
        return self._journal.latest(job_id)

    async def answer(self, cid: Cid) -> bytes | None:
        return await self._journal.answer(cid)

    async def put(self, rows: Sequence[JobRow]) -> None:
        new = self._new(rows)
        await self._journal.put(rows)
        for row in new:
            self._tell(row)

    def enter(self, rows: Sequence[JobRow]) -> None:
        new = self._new(rows)
        self._journal.enter(rows)
        for row in new:
            self._tell(row)

    async def settle(self) -> None:
        await self._journal.settle()

    async def move(self, row: JobRow, stage: Stage, **facts: Any) -> JobRow:
        moved = await self._journal.move(row, stage, **facts)
        self._tell(moved)
        return moved

    def note(self, row: JobRow, stage: Stage, **facts: Any) -> JobRow:
        noted = self._journal.note(row, stage, **facts)
        self._tell(noted)
        return noted

    async def forget(self, keys: Sequence[JobKey]) -> None:
        await self._journal.forget(keys)

    def _new(self, rows: Sequence[JobRow]) -> Sequence[JobRow]:
        before = {row.key: known.stage for row in rows if (known := self.find(row.key))}
        return [row for row in rows if before.get(row.key) is not row.stage]

    def _tell(self, row: JobRow) -> None:
        if row.stage is not Stage.SEEN:
            self._onlooker.on_stage(row)
