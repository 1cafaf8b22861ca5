"""Runs one lease from wherever the journal left it to its confirmed end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from decentralized_vllm.protocol.errors import (
    ChainUnavailable,
    ContentError,
    ContentUnavailable,
    DvllmError,
    EngineUnavailable,
    InsufficientGas,
    TransactionFailed,
    UnknownJob,
)
from decentralized_vllm.protocol.generation import GenerationRequest
from decentralized_vllm.protocol.ids import TxHash
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.ports import Clock
from dvllm_worker.pipeline.admit import Admit
from dvllm_worker.pipeline.deadline import TimeBudget
from dvllm_worker.pipeline.failures import (
    Draining,
    LeaseLost,
    NotPublished,
    TooLate,
    failure_code,
)
from dvllm_worker.pipeline.fetch import Fetch
from dvllm_worker.pipeline.generate import Generate
from dvllm_worker.pipeline.limits import Limits
from dvllm_worker.pipeline.ports import EngineRoom, Journal, Onlooker, PromptSearch
from dvllm_worker.pipeline.publish import Publish
from dvllm_worker.pipeline.results import AdmittedJob, Generation, LoadedJob, PublishedResult
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage
from dvllm_worker.pipeline.submit import Submit

RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Steps:
    admit: Admit
    fetch: Fetch
    generate: Generate
    publish: Publish
    submit: Submit


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a lease may spend on what; its deadline bounds all of it together."""

    fetch_s: float  # for the prompt's bytes, if anybody can be asked for them
    engine_s: float  # for an engine that is still starting
    reserve_s: float  # kept for one transaction to be mined


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every lease of a process shares. `slots` bounds the answers being generated."""

    steps: Steps
    journal: Journal
    engines: EngineRoom
    onlooker: Onlooker
    clock: Clock
    patience: Patience
    limits: Limits
    slots: AbstractAsyncContextManager[None]


class LeaseRun:
    """One lease. What happens next depends on its row alone, so a restart simply runs it again."""

    def __init__(self, row: JobRow, workshop: Workshop) -> None:
        self._row = row
        self._shop = workshop
        self._limit: asyncio.Timeout | None = None
        self._search: PromptSearch | None = None
        self._is_draining = False

    async def run(self) -> None:
        """Returns when the delivery or the failJob is confirmed, or the lease is lost.

        Raises ChainUnavailable, StorageBusy and StorageFull: the row keeps its place then.
        """
        try:
            await self._run_from_stage()
        except LeaseLost as error:
            await self._move(Stage.LOST, reason=error.message)

    def hurry(self) -> None:
        """Hands the job back now, unless its answer exists: then delivering is the fastest end."""
        self._is_draining = True
        if self._limit is not None and not self._row.has_answer:
            self._shop.limits.end_now(self._limit)

    async def abandon(self, reason: str) -> None:
        """Hands back a job that this node can not run. Raises as `run` does."""
        if self._row.stage in (Stage.SUBMITTING, Stage.SUBMITTED):
            return
        try:
            job = await self._admitted()
            await self._hand_back(job, FailureCode.ENGINE_FAILED, reason)
        except LeaseLost as error:
            await self._move(Stage.LOST, reason=error.message)

    async def _run_from_stage(self) -> None:
        if self._row.stage is Stage.SUBMITTED:
            return await self._confirm_delivery()
        if self._row.stage in (Stage.PUBLISHED, Stage.SUBMITTING, Stage.FAILING):
            return await self._run_to_end()
        # The prompt is looked for while the contract is asked whether the job is ours.
        async with self._shop.steps.fetch.searching(self._row) as self._search:
            await self._run_to_end()

    async def _run_to_end(self) -> None:
        job = await self._admitted()
        if self._row.stage is Stage.FAILING:
            code = FailureCode.BUSY if self._row.failure is None else self._row.failure
            return await self._hand_back(job, code, self._row.reason)
        try:
            result = await self._published(job)
        except LeaseLost:
            raise
        except DvllmError as error:
            return await self._hand_back(job, failure_code(error), error.message)
        await self._deliver(result)

    async def _admitted(self) -> AdmittedJob:
        job = await self._shop.steps.admit(self._row)
        self._row = job.row
        return job

    # ------------------------------------------------------------ to a published answer

    async def _published(self, job: AdmittedJob) -> PublishedResult:
        """Raises what the steps raise, and TooLate, Draining or EngineUnavailable at the limit."""
        if self._row.stage is Stage.SUBMITTING:
            return PublishedResult(job, *self._answer_of_row())
        budget = self._budget(job)
        if self._is_draining and not self._row.has_answer:
            raise Draining("this worker is stopping")
        try:
            async with self._shop.limits.until(budget) as self._limit:
                return await self._work(job, budget)
        except TimeoutError:
            raise self._why_cut_off() from None
        finally:
            self._limit = None

    def _why_cut_off(self) -> DvllmError:
        if self._is_draining:
            return Draining("this worker is stopping")
        if self._row.stage is Stage.GENERATING:
            return EngineUnavailable("the engine did not finish within the lease")
        if self._row.stage is Stage.GENERATED:
            return NotPublished("the answer could not be published within the lease")
        return TooLate("the lease has no time left for an answer")

    async def _work(self, job: AdmittedJob, budget: TimeBudget) -> PublishedResult:
        if self._row.stage is Stage.PUBLISHED:
            return PublishedResult(job, *self._answer_of_row())
        assert self._search is not None
        generation = await self._generation(job, self._search, budget)
        cid, document = generation.answer.cid, generation.answer.document
        facts = {"response_cid": cid, "usage": generation.usage, "answer": document}
        await self._move(Stage.GENERATED, **facts)
        await self._search.kept()  # an answer is published with its prompt
        result = await self._shop.steps.publish(generation)
        self._note(Stage.PUBLISHED)  # what is published again is the same
        return result

    def _answer_of_row(self) -> tuple[Any, Any]:
        return self._row.response_cid, self._row.usage

    async def _generation(
        self, job: AdmittedJob, search: PromptSearch, budget: TimeBudget
    ) -> Generation:
        if self._row.has_answer:
            return await self._generation_before(job, search, budget)
        loaded = await self._loaded(job, search, budget)
        return await self._generated(loaded, search, budget)

    async def _generation_before(
        self, job: AdmittedJob, search: PromptSearch, budget: TimeBudget
    ) -> Generation:
        """Of a process that ended, perhaps before prompt and answer were in the store."""
        cid, usage = self._answer_of_row()
        document = await self._shop.journal.answer(cid)
        answer = await self._shop.steps.publish.again(cid, document)
        timeout_s, longest_s = self._search_s(budget)
        try:
            await search.found(timeout_s=timeout_s, longest_s=longest_s)
        except (ContentUnavailable, ContentError) as error:
            raise NotPublished(f"the prompt is gone: {error.message}") from error
        return Generation(job, answer, usage)

    async def _loaded(
        self, job: AdmittedJob, search: PromptSearch, budget: TimeBudget
    ) -> LoadedJob:
        if self._row.stage is not Stage.LEASED:
            self._note(Stage.LEASED)
        timeout_s, longest_s = self._search_s(budget)
        loaded = await self._shop.steps.fetch(job, search, timeout_s=timeout_s, longest_s=longest_s)
        self._note(Stage.FETCHED)
        return loaded

    def _search_s(self, budget: TimeBudget) -> tuple[float, float]:
        return budget.search_s(self._shop.clock.now_s(), self._shop.patience.fetch_s)

    async def _generated(
        self, loaded: LoadedJob, search: PromptSearch, budget: TimeBudget
    ) -> Generation:
        engines, model_cid = self._shop.engines, self._row.request.model_cid
        self._check_time_for(loaded.request, budget)
        async with self._shop.slots:
            engine = await engines.engine_for(model_cid, timeout_s=self._shop.patience.engine_s)
            self._note(Stage.GENERATING)
            generation, pace = await self._shop.steps.generate(loaded, engine, search)
        engines.note_pace(model_cid, pace)
        return generation

    def _check_time_for(self, request: GenerationRequest, budget: TimeBudget) -> None:
        """Raises TooLate. Of vectors nothing is measured, so they are always tried."""
        if request.inputs is not None:
            return
        max_tokens = request.parameters.max_tokens
        estimate_s = self._shop.engines.estimate_s(self._row.request.model_cid, max_tokens)
        if not budget.fits(self._shop.clock.now_s(), estimate_s):
            raise TooLate(f"an answer may take {estimate_s:.1f} s, the lease has less left")

    # ------------------------------------------------------------ on chain

    async def _deliver(self, result: PublishedResult) -> None:
        await self._move(Stage.SUBMITTING)
        submit = self._shop.steps.submit

        async def send() -> TxHash:
            return (await submit.deliver(result)).tx_hash

        try:
            tx_hash = await self._sent(result.job, send)
        except LeaseLost:
            # A send that was never answered may have arrived, and then the next one is refused.
            if not await self._shop.steps.admit.is_delivered(self._row):
                raise
            tx_hash = None
        self._note(Stage.SUBMITTED, tx_hash=tx_hash)  # the sender knows its key after a restart
        await self._confirm_delivery()

    async def _confirm_delivery(self) -> None:
        try:
            receipt = await self._shop.steps.submit.confirm_delivery(self._row)
        except (TransactionFailed, UnknownJob) as error:
            raise LeaseLost(f"the delivery failed: {error.message}") from error
        await self._move(Stage.FINAL, tx_hash=receipt.tx_hash)

    async def _hand_back(self, job: AdmittedJob, code: FailureCode, reason: str) -> None:
        await self._move(Stage.FAILING, failure=code, reason=reason)
        submit = self._shop.steps.submit
        tx_hash = await self._sent(job, lambda: submit.hand_back(job, code))
        try:
            await submit.confirm_hand_back(self._row)
        except (TransactionFailed, UnknownJob) as error:
            raise LeaseLost(f"the failJob failed: {error.message}") from error
        await self._move(Stage.FAILED, tx_hash=tx_hash)

    async def _sent(self, job: AdmittedJob, send: Callable[[], Awaitable[TxHash]]) -> TxHash:
        """Tries until the lease is over. Raises LeaseLost, or ChainUnavailable at the very end.

        An empty purse is waited out too: its owner may fill it in time.
        """
        budget = self._budget(job)
        while True:
            if not budget.can_send(self._shop.clock.now_s()):
                raise LeaseLost("the lease and its grace are over")
            try:
                return await send()
            except (ChainUnavailable, InsufficientGas) as error:
                self._shop.onlooker.on_trouble(self._row, error)
                await self._shop.clock.sleep_s(RETRY_S)
            except (TransactionFailed, UnknownJob) as error:
                raise LeaseLost(f"the coordinator refuses: {error.message}") from error

    def _budget(self, job: AdmittedJob) -> TimeBudget:
        return TimeBudget(job.deadline_s, self._shop.patience.reserve_s)

    async def _move(self, stage: Stage, **facts: Any) -> None:
        self._row = await self._shop.journal.move(self._row, stage, **facts)

    def _note(self, stage: Stage, *, tx_hash: TxHash | None = None) -> None:
        """For steps that a restart takes again: nothing waits for the disk."""
        self._row = self._shop.journal.note(self._row, stage, tx_hash=tx_hash)
