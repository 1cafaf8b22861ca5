"""Looks after jobs that are not ours: takes what is open or lapsed, expires what is overdue."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass

from decentralized_vllm.protocol.errors import (
    ContractRevert,
    RetryableError,
    StorageFull,
    TransactionFailed,
    UnknownJob,
)
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import JobState
from decentralized_vllm.protocol.ports import Clock, JobCalls, JobChain, TransactionSender
from dvllm_worker.pipeline.identity import NodeIdentity
from dvllm_worker.pipeline.ports import Journal, Purse
from dvllm_worker.pipeline.prospects import (
    Appetite,
    Expire,
    Forget,
    LookAgain,
    MarketRules,
    Take,
    is_worth_taking,
    next_move,
)
from dvllm_worker.pipeline.rows import JobKey, JobRow
from dvllm_worker.pipeline.stages import HELD, Stage

log = logging.getLogger(__name__)

RETRY_S = 2.0
REFILL_S = 15.0  # how soon a key that is short of gas is looked at again
TAKE_AND_ANSWER_GAS = 160_000
SPARE_JOBS = 3
NOT_YET = "TooEarly"  # the coordinator's word; calls are tried at the latest block's time
# The coordinator's word that this job is not for us, whatever comes.
NEVER_OURS = frozenset({"SameNode", "UnknownJob", "NotNode", "NotJoined"})


@dataclass(frozen=True, slots=True)
class CaretakerOptions:
    """`n_slots` tells how many jobs may run now.

    `jitter_s` spreads the nodes that would take the same job in the same second.
    """

    takes: bool
    expires: bool
    n_slots: Callable[[], int]
    jitter_s: float
    token_value_wei: int | None = None


class Caretaker:
    def __init__(
        self,
        chain: JobChain,
        calls: JobCalls,
        sender: TransactionSender,
        journal: Journal,
        purse: Purse,
        clock: Clock,
        *,
        identity: NodeIdentity,
        rules: MarketRules,
        options: CaretakerOptions,
        random: Callable[[], float],
    ) -> None:
        self._chain = chain
        self._calls = calls
        self._sender = sender
        self._journal = journal
        self._purse = purse
        self._clock = clock
        self._identity = identity
        self._rules = rules
        self._options = options
        self._random = random
        self._due: list[tuple[float, int, JobKey]] = []
        self._watched: dict[JobKey, int] = {}
        self._order = itertools.count()
        self._has_work = asyncio.Event()

    def watch(self, row: JobRow) -> None:
        """Looks at a job after a random moment; the look itself finds out when to look again."""
        self._look_at(row.key, self._clock.now_s() + self._random() * self._options.jitter_s)

    def drop(self, key: JobKey) -> None:
        self._watched.pop(key, None)

    async def run(self) -> None:
        while True:
            await self._has_work.wait()
            key = self._next_due()
            if key is None:
                await self._clock.sleep_s(min(1.0, self._wait_s()))
                continue
            try:
                await self._look(key)
            except (RetryableError, StorageFull) as error:
                log.warning("job %s is looked at again: %s", key.job_id, error)
                self._look_at(key, self._clock.now_s() + RETRY_S)

    # ------------------------------------------------------------ the queue

    def _look_at(self, key: JobKey, at_s: float) -> None:
        """The newest entry of a key counts, older ones are skipped when they come up."""
        entry = next(self._order)
        self._watched[key] = entry
        heapq.heappush(self._due, (at_s, entry, key))
        self._has_work.set()

    def _wait_s(self) -> float:
        return max(0.05, self._due[0][0] - self._clock.now_s()) if self._due else 0.0

    def _next_due(self) -> JobKey | None:
        while self._due and self._due[0][0] <= self._clock.now_s():
            _, entry, key = heapq.heappop(self._due)
            if self._watched.get(key) == entry:
                return key
        if not self._due:
            self._has_work.clear()
        return None

    # ------------------------------------------------------------ one look

    async def _look(self, key: JobKey) -> None:
        row = self._journal.find(key)
        if row is None or row.stage is not Stage.SEEN:
            return self.drop(key)
        try:
            state = await self._chain.job(key.job_id)
        except UnknownJob:
            return await self._forget(row)
        terms = await self._chain.terms(state.version)
        move = next_move(
            state,
            now_s=self._clock.now_s(),
            me=self._identity.address,
            rules=self._rules,
            open_s=terms.open_s,
            appetite=self._appetite(),
        )
        if state.digest != key.digest:
            move = Forget()
        match move:
            case Take():
                await self._take(row, state)
            case Expire():
                await self._expire(row)
            case LookAgain(at_s):
                self._look_at(key, at_s + self._random() * self._options.jitter_s)
            case Forget():
                await self._forget(row)

    def _appetite(self) -> Appetite:
        n_busy = sum(row.stage in HELD | {Stage.TAKING} for row in self._journal.open_rows())
        return Appetite(
            takes=self._options.takes,
            expires=self._options.expires,
            has_free_slot=n_busy < self._options.n_slots(),
        )

    async def _take(self, row: JobRow, state: JobState) -> None:
        gas_price_wei = await self._purse.gas_price()
        if await self._purse.balance() < SPARE_JOBS * gas_price_wei * TAKE_AND_ANSWER_GAS:
            log.warning("job %s is not taken: the key has too little for gas", row.job_id)
            return self._look_at(row.key, self._clock.now_s() + REFILL_S)
        if not self._is_worth_taking(state.escrow_wei, gas_price_wei):
            log.info("job %s is left to others", row.job_id)
            return await self._forget(row)
        if self._is(row, Stage.SEEN):
            await self._send_take(await self._journal.move(row, Stage.TAKING), state.attempts)

    async def _send_take(self, row: JobRow, attempt: int) -> None:
        self.drop(row.key)
        call = self._calls.take_job(row.job_id)
        try:
            await self._sender.send(call, key=row.key.idempotency_key(f"take:{attempt}"))
        except UnknownJob:
            if await self._is_seen_again(row):
                await self._forget(row)
        except TransactionFailed as error:
            await self._not_taken(row, error)
        except RetryableError:
            if await self._is_seen_again(row):
                raise

    async def _not_taken(self, row: JobRow, error: TransactionFailed) -> None:
        log.info("job %s is not taken: %s", row.job_id, error)
        if not await self._is_seen_again(row):
            return
        if isinstance(error, ContractRevert) and error.name in NEVER_OURS:
            return await self._forget(row)
        self._look_at(row.key, self._clock.now_s() + RETRY_S)

    async def _is_seen_again(self, row: JobRow) -> bool:
        """Not where an event told otherwise of it while the chain was asked."""
        if not self._is(row, Stage.TAKING):
            return False
        await self._journal.move(row, Stage.SEEN)
        return True

    def _is(self, row: JobRow, stage: Stage) -> bool:
        now = self._journal.find(row.key)
        return now is not None and now.stage is stage

    async def _expire(self, row: JobRow) -> None:
        """Outages are raised: the job is looked at again, so its escrow does not stay behind."""
        try:
            await self._sender.send(
                self._calls.expire_job(row.job_id), key=row.key.idempotency_key("expire")
            )
            log.info("job %s is overdue and expired", row.job_id)
        except TransactionFailed as error:
            if isinstance(error, ContractRevert) and error.name == NOT_YET:
                return self._look_at(row.key, self._clock.now_s() + RETRY_S)
            log.info("job %s is not expired by us: %s", row.job_id, error)
        except UnknownJob:
            pass
        await self._forget(row)

    def _is_worth_taking(self, escrow_wei: Wei, gas_price_wei: Wei) -> bool:
        return is_worth_taking(
            escrow_wei,
            gas_price_wei=gas_price_wei,
            gas_units=TAKE_AND_ANSWER_GAS,
            token_value_wei=self._options.token_value_wei,
        )

    async def _forget(self, row: JobRow) -> None:
        self.drop(row.key)
        if self._is(row, Stage.SEEN):
            await self._journal.forget([row.key])
