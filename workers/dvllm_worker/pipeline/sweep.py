"""Holds every open row against the contract: at start, after a re-organisation, now and then."""

import logging

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.ports import Clock
from dvllm_worker.pipeline.admit import Admit
from dvllm_worker.pipeline.caretaker import Caretaker
from dvllm_worker.pipeline.crew import Crew
from dvllm_worker.pipeline.ports import Journal
from dvllm_worker.pipeline.reconcile import Verdict
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage

log = logging.getLogger(__name__)


class Sweep:
    """Level-triggered: whatever an event or a crash left behind is decided again from state."""

    def __init__(
        self, journal: Journal, admit: Admit, crew: Crew, caretaker: Caretaker, clock: Clock
    ) -> None:
        self._journal = journal
        self._admit = admit
        self._crew = crew
        self._caretaker = caretaker
        self._clock = clock

    async def run(self, *, interval_s: float) -> None:
        while True:
            await self._clock.sleep_s(interval_s)
            try:
                await self.once()
            except DvllmError as error:
                log.warning("the journal is not checked against the chain now: %s", error)

    async def once(self, *, include_running: bool = False) -> None:
        """Raises ChainUnavailable and what the journal raises."""
        for row in list(self._journal.open_rows()):
            if include_running or not self._crew.is_running(row.key):
                await self._settle(row)

    async def _settle(self, row: JobRow) -> None:
        verdict = await self._admit.verdict(row)
        if self._journal.find(row.key) is not row:
            return  # it moved on meanwhile
        match verdict:
            case Verdict.WORK:
                await self._work(row)
            case Verdict.HAND_BACK:
                self._crew.start(row)
            case Verdict.CONFIRM:
                self._crew.start(await self._journal.move(row, Stage.SUBMITTED))
            case Verdict.FAILED:
                await self._close(row, Stage.FAILED)
            case Verdict.WATCH:
                await self._watch(row)
            case Verdict.LOST:
                await self._lose(row)

    async def _work(self, row: JobRow) -> None:
        if row.stage in (Stage.SEEN, Stage.TAKING):
            row = await self._journal.move(row, Stage.LEASED)
            self._caretaker.drop(row.key)
        self._crew.start(row)

    async def _watch(self, row: JobRow) -> None:
        if row.stage is Stage.TAKING:
            row = await self._journal.move(row, Stage.SEEN)
        if row.stage is Stage.SEEN:
            self._caretaker.watch(row)
        else:
            await self._lose(row)

    async def _lose(self, row: JobRow) -> None:
        if row.stage is Stage.SEEN:
            self._caretaker.drop(row.key)
            await self._journal.forget([row.key])
            return
        await self._close(row, Stage.LOST)

    async def _close(self, row: JobRow, stage: Stage) -> None:
        self._crew.stop(row.key)
        await self._journal.move(row, stage, reason="settled by the contract's state")
