"""What the pipeline needs beside the library's ports; the worker's own adapters fill these."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Cid, JobId, TxHash, Wei
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.ports import Clock, Engine
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_worker.pipeline.results import ShelvedAnswer
from dvllm_worker.pipeline.rows import JobKey, JobRow
from dvllm_worker.pipeline.speed import Pace
from dvllm_worker.pipeline.stages import Stage


class Journal(Protocol):
    """The durable memory of this node's jobs. One process writes it.

    A step is known to this process as soon as it is taken, and on disk a moment later. What may
    only begin after that waits for it; what a restart would simply do again need not.
    """

    def open_rows(self) -> Sequence[JobRow]:
        """All rows that are not closed."""

    def find(self, key: JobKey) -> JobRow | None: ...

    def latest(self, job_id: JobId) -> JobRow | None:
        """The row last written for this number, whichever request it names."""

    async def answer(self, cid: Cid) -> bytes | None:
        """One that was kept here and is not published yet. Raises StorageBusy."""

    async def put(self, rows: Sequence[JobRow]) -> None:
        """Writes rows as they are, all or none. Durable when it returns."""

    def enter(self, rows: Sequence[JobRow]) -> None:
        """As `put`, but durable only after `settle`."""

    async def settle(self) -> None:
        """Returns when all that was written is durable. Raises StorageBusy, StorageFull."""

    async def move(
        self,
        row: JobRow,
        stage: Stage,
        *,
        response_cid: Cid | None = None,
        usage: Usage | None = None,
        answer: bytes | None = None,
        tx_hash: TxHash | None = None,
        failure: FailureCode | None = None,
        reason: str | None = None,
    ) -> JobRow:
        """Takes one step and the facts that came with it. Durable when it returns.

        Facts left out keep what they were. An `answer` is kept under its `response_cid` until the
        step that publishes it. Raises IllegalTransition, StorageBusy, StorageFull.
        """

    def note(self, row: JobRow, stage: Stage, *, tx_hash: TxHash | None = None) -> JobRow:
        """As `move`, for a step that may be lost: after a restart it would be taken again."""

    async def forget(self, keys: Sequence[JobKey]) -> None:
        """Drops rows of jobs that never were ours."""


class PromptSearch(Protocol):
    async def found(self, *, timeout_s: float, longest_s: float) -> bytes:
        """Verified bytes from the first source that has them.

        Raises ContentUnavailable when `timeout_s` are over and somebody who was asked does not
        have it, OutOfReach when nobody could be asked for `longest_s`, and the ContentError family.
        """

    def keep(self) -> None:
        """Begins to put what was found into this node's own store."""

    async def kept(self) -> None:
        """Returns when what was found is in this node's own store. Raises StorageFull."""


class PromptSource(Protocol):
    def searching(self, cid: Cid, *, max_bytes: int) -> AbstractAsyncContextManager[PromptSearch]:
        """Looks for a prompt from now on, until it is left."""


class AnswerShelf(Protocol):
    """Answers under their content address: in this node's own store, and where others can read."""

    def shelve(self, document: bytes) -> ShelvedAnswer:
        """Begins to put it into this node's own store."""

    async def found(self, cid: Cid) -> ShelvedAnswer:
        """One that is in this node's own store. Raises ContentUnavailable, ContentMismatch."""

    async def publish(self, answer: ShelvedAnswer, *, prompt_cid: Cid) -> None:
        """Returns when others can read it, and its prompt is kept for who may challenge it.

        Tries without end while a store to copy it to is out of reach. Raises ContentUnavailable,
        ContentMismatch, StorageFull.
        """


class EngineRoom(Protocol):
    async def engine_for(self, model_cid: Cid, *, timeout_s: float) -> Engine:
        """The running engine of a model. Raises EngineUnavailable when there is none in time."""

    def estimate_s(self, model_cid: Cid, max_tokens: int) -> float:
        """How long a text takes at worst, by what was measured; 0 while nothing was."""

    def note_pace(self, model_cid: Cid, pace: Pace) -> None: ...


class LearningClock(Clock, Protocol):
    """Chain time, as far as it is known between two blocks."""

    async def refresh(self) -> None:
        """Raises ChainUnavailable."""

    def note(self, block_s: int) -> None:
        """A block of this timestamp was just read."""

    def learn(self, block_s: int) -> None:
        """Some block has this timestamp."""


class Purse(Protocol):
    """What the node's key has for gas, in the chain's own coin. Raises ChainUnavailable."""

    async def gas_price(self) -> Wei:
        """What a unit of gas costs now."""

    async def balance(self) -> Wei: ...


class AnswerSigner(Protocol):
    def sign(self, document: ResponseDocument) -> ResponseDocument: ...


class Onlooker(Protocol):
    """Told how jobs go on, for logs and for requesters that listen. Never blocks."""

    def on_stage(self, row: JobRow) -> None: ...

    def on_trouble(self, row: JobRow, error: DvllmError) -> None:
        """Something failed and is tried again."""

    def on_text(self, job_id: JobId, text: str, n_tokens: int) -> None: ...

    def on_answer(self, job_id: JobId, cid: Cid, document: bytes) -> None:
        """The engine's answer, signed. That it is the job's is told by its stage."""
