"""The journal in the process's database, with an index in memory for reads."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

from sqlalchemy import Connection, and_, delete, or_, select

from decentralized_vllm.chain.store.database import Database
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Cid, JobId, TxHash
from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_worker.journal.group_commit import GroupCommit
from dvllm_worker.journal.row_codec import row_of
from dvllm_worker.journal.tables import COMPONENT, SCHEMA_VERSION, answer, job, metadata
from dvllm_worker.journal.writes import Key, Value, write_changes
from dvllm_worker.pipeline.rows import JobKey, JobRow
from dvllm_worker.pipeline.stages import CLOSED, IllegalTransition, Stage, check_transition

CLOSED_ROWS_IN_MEMORY = 5000
ANSWERS_LEFT = 1000  # of jobs that ended elsewhere before they were published
ANSWERS_LEFT_S = 86_400.0


class SqlJournal:
    """One process at a time: what it holds in memory is true, and the file follows.

    Rows that closed thousands of jobs ago stay in the file but no longer answer `find`.
    """

    def __init__(
        self,
        database: Database,
        *,
        chain_id: int,
        coordinator: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._chain_id = chain_id
        self._coordinator = coordinator
        self._clock = clock
        self._commits: GroupCommit[Key, Value] = GroupCommit(database, write_changes)
        self._open: dict[JobKey, JobRow] = {}
        self._closed: OrderedDict[JobKey, JobRow] = OrderedDict()
        self._latest: dict[JobId, JobKey] = {}
        self._left: OrderedDict[Cid, None] = OrderedDict()

    async def load(self) -> Self:
        """Creates the table if need be and reads what a former process left."""
        await self._database.add_tables(COMPONENT, SCHEMA_VERSION, metadata)
        await self._database.transaction(self._drop_strays)
        for row in reversed(await self._database.transaction(self._newest)):
            self._remember(row)
        return self

    def open_rows(self) -> Sequence[JobRow]:
        return tuple(self._open.values())

    def closed_rows(self) -> Sequence[JobRow]:
        """Those in memory, oldest first."""
        return tuple(self._closed.values())

    async def needed_cids(self, since_s: float) -> set[Cid]:
        """Prompts and answers of jobs that are open, or were since then, of all deployments.

        The file has those that memory dropped, memory those that are still to be written.
        """
        rows = [row for row in self._closed.values() if row.updated_s >= since_s]
        rows += self._open.values()
        named = {cid for row in rows for cid in (row.request.prompt_cid, row.response_cid)}
        needed = or_(job.c.stage.not_in(_CLOSED), job.c.updated_s >= since_s)
        query = select(job.c.prompt_cid, job.c.response_cid).where(needed)
        for pair in await self._database.transaction(lambda tx: tx.execute(query).all()):
            named.update(pair)
        return {Cid(cid) for cid in named if cid is not None}

    def find(self, key: JobKey) -> JobRow | None:
        return self._open.get(key) or self._closed.get(key)

    def latest(self, job_id: JobId) -> JobRow | None:
        key = self._latest.get(job_id)
        return self.find(key) if key is not None else None

    async def put(self, rows: Sequence[JobRow]) -> None:
        if rows:
            self.enter(rows)
            await self.settle()

    def enter(self, rows: Sequence[JobRow]) -> None:
        for row in rows:
            known = self.find(row.key)
            if known is not None:
                check_transition(known.stage, row.stage)
        for row in rows:
            self._change(replace(row, updated_s=self._clock()))

    async def settle(self) -> None:
        await self._commits.settle()

    async def answer(self, cid: Cid) -> bytes | None:
        query = select(answer.c.document).where(answer.c.cid == cid)
        return await self._database.transaction(lambda tx: tx.execute(query).scalar_one_or_none())

    async def move(
        self, row: JobRow, stage: Stage, *, answer: bytes | None = None, **facts: Any
    ) -> JobRow:
        before = self.find(row.key) or row
        moved = self._moved(row, stage, **facts)
        cid = moved.response_cid if answer is not None else None
        if cid is not None:
            self._commits.owe({cid: answer})
        try:
            await self.settle()
        except DvllmError:
            if self.find(row.key) is moved:
                self._change(before)  # the row keeps its place, with the answer it had
                if cid is not None and cid != before.response_cid:
                    self._commits.owe({cid: None})
            raise
        return moved

    def note(self, row: JobRow, stage: Stage, **facts: Any) -> JobRow:
        return self._moved(row, stage, **facts)

    def _moved(
        self,
        row: JobRow,
        stage: Stage,
        *,
        response_cid: Cid | None = None,
        usage: Usage | None = None,
        tx_hash: TxHash | None = None,
        failure: FailureCode | None = None,
        reason: str | None = None,
    ) -> JobRow:
        known = self.find(row.key) or row
        if known.stage is not row.stage:
            raise IllegalTransition(f"job {row.job_id} is {known.stage} by now, not {row.stage}")
        check_transition(row.stage, stage)
        return self._change(
            replace(
                row,
                stage=stage,
                as_of=known.as_of,  # an event may have come while the caller was busy
                response_cid=row.response_cid if response_cid is None else response_cid,
                usage=row.usage if usage is None else usage,
                tx_hash=row.tx_hash if tx_hash is None else tx_hash,
                failure=row.failure if failure is None else failure,
                reason=row.reason if reason is None else reason,
                updated_s=self._clock(),
            )
        )

    async def forget(self, keys: Sequence[JobKey]) -> None:
        for key in keys:
            self._open.pop(key, None)
            self._closed.pop(key, None)
            if self._latest.get(key.job_id) == key:
                del self._latest[key.job_id]
        if keys:
            self._commits.owe(dict.fromkeys(keys))
            await self.settle()

    def _change(self, row: JobRow) -> JobRow:
        self._drop_answers(row)
        self._remember(row)
        self._commits.owe({row.key: row})
        return row

    def _drop_answers(self, row: JobRow) -> None:
        """Of what is published, and the oldest of those that never were: a job that was handed
        back or lost may come again, and its answer is not made twice.
        """
        if row.response_cid is None:
            return
        if row.stage is Stage.PUBLISHED:
            self._commits.owe({row.response_cid: None})
        elif row.stage in (Stage.FAILED, Stage.LOST):
            self._left[row.response_cid] = None
            if len(self._left) > ANSWERS_LEFT:
                oldest, _ = self._left.popitem(last=False)
                self._commits.owe({oldest: None})

    def _remember(self, row: JobRow) -> None:
        self._open.pop(row.key, None)
        self._closed.pop(row.key, None)
        self._latest[row.job_id] = row.key
        if row.stage not in CLOSED:
            self._open[row.key] = row
            return
        self._closed[row.key] = row
        if len(self._closed) > CLOSED_ROWS_IN_MEMORY:
            key, _ = self._closed.popitem(last=False)
            if self._latest.get(key.job_id) == key:
                del self._latest[key.job_id]

    def _drop_strays(self, connection: Connection) -> None:
        """Answers that were published just before a kill, or have been left for long."""
        recent = job.c.updated_s > self._clock() - ANSWERS_LEFT_S
        awaited = select(job.c.response_cid).where(
            job.c.response_cid.is_not(None),
            or_(job.c.stage.in_(_UNPUBLISHED), and_(job.c.stage.in_(_LEFT), recent)),
        )
        connection.execute(delete(answer).where(answer.c.cid.not_in(awaited)))

    def _newest(self, connection: Connection) -> list[JobRow]:
        """Newest first: every open row and the last closed ones."""
        ours = and_(job.c.chain_id == self._chain_id, job.c.coordinator == self._coordinator)
        newest = select(job).where(ours).order_by(job.c.updated_s.desc())
        open_rows = connection.execute(newest.where(job.c.stage.not_in(_CLOSED))).all()
        closed_rows = connection.execute(
            newest.where(job.c.stage.in_(_CLOSED)).limit(CLOSED_ROWS_IN_MEMORY)
        ).all()
        return [row_of(columns) for columns in (*open_rows, *closed_rows)]


_CLOSED = [stage.value for stage in CLOSED]
_UNPUBLISHED = [stage.value for stage in (Stage.LEASED, Stage.GENERATED, Stage.FAILING)]
_LEFT = [stage.value for stage in (Stage.FAILED, Stage.LOST)]
