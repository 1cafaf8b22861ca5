"""Laws of money, whatever happens in whatever order."""

import asyncio
import uuid
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection

from decentralized_vllm.protocol.events import LogPosition
from decentralized_vllm.protocol.ids import BlockNumber, TxHash, Wei
from dvllm_gateway.errors import InsufficientBalance
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.stores import Deposit, Movement
from dvllm_gateway.services.tasks import TaskRecord, TaskState
from dvllm_gateway.state import SqlAccountStore, SqlTaskStore, open_database
from dvllm_gateway.state.deposits import SqlDepositStore
from tests.support.gateway_tasks import ASSIGNMENT, SENDER, completed, new_task

AMOUNTS = st.integers(0, 1_000) | st.integers(10**18, 10**30)
ENDS = [state for state in TaskState if state.is_over]


class Money(RuleBasedStateMachine):
    """One account of its own in a shared database, beside a model of plain integers.

    `credited` is all that ever came in, less what went out again by other ways than tasks.
    """

    tasks: Bundle[TaskRecord] = Bundle("tasks")

    def __init__(self, location: str) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = AsyncExitStack()
        database = self.runner.run(self.opened.enter_async_context(open_database(location)))
        self.accounts = SqlAccountStore(database)
        self.store = SqlTaskStore(database)
        self.account = AccountId(f"law-{uuid.uuid4().hex}")
        self.chain = SqlDepositStore(database, self.account, SENDER)
        self.available = self.reserved = self.charged = self.credited = 0
        self.standing: dict[int, int] = {}  # block → amount deposited in it

    def teardown(self) -> None:
        self.runner.run(self.opened.aclose())
        self.runner.close()

    # ---------------------------------------------------------------- what may happen
    @rule(amount=AMOUNTS)
    def give(self, amount: int) -> None:
        self.grant(amount)

    @rule(amount=AMOUNTS)
    def take_back(self, amount: int) -> None:
        self.grant(-amount)

    def grant(self, amount: int) -> None:
        work = self.accounts.grant(self.account, Wei(amount), reason="law", at_ms=1)
        if self.is_covered(work, -amount):
            self.credit(amount)

    @rule(target=tasks, amount=AMOUNTS)
    def create(self, amount: int) -> Any:
        record = new_task(account=self.account, reserved_wei=Wei(amount))
        if not self.is_covered(self.store.create(record, ASSIGNMENT), amount):
            return multiple()
        self.available -= amount
        self.reserved += amount
        return record

    @rule(record=consumes(tasks), percent=st.integers(0, 100), end=st.sampled_from(ENDS))
    def finish(self, record: TaskRecord, percent: int, end: TaskState) -> None:
        cost, ended = 0, replace(record, state=end, completed_at_ms=9)
        if end is TaskState.COMPLETED:
            cost = record.reserved_wei * percent // 100
            ended = completed(record, cost_wei=cost)
        assert self.runner.run(self.store.finish(ended))
        assert not self.runner.run(self.store.finish(replace(ended, cost_wei=Wei(0))))
        self.reserved -= record.reserved_wei
        self.available += record.reserved_wei - cost
        self.charged += cost

    @rule(amount=AMOUNTS, times=st.integers(1, 3))
    def deposit(self, amount: int, times: int) -> None:
        """The same log, told once or more often."""
        block = max(self.standing, default=0) + 1
        at = LogPosition(BlockNumber(block), f"0x{block}", TxHash("0xd"), 0)
        for _ in range(times):
            self.tell_chain([Deposit(at, self.account, Wei(amount))], None)
        self.standing[block] = amount
        self.credit(amount)

    @rule(depth=st.integers(1, 3))
    def reorganise(self, depth: int) -> None:
        to = max(0, max(self.standing, default=0) - depth)
        self.tell_chain([], BlockNumber(to))
        for block in [block for block in self.standing if block > to]:
            self.credit(-self.standing.pop(block))

    # ---------------------------------------------------------------- what always holds
    @invariant()
    def balance_is_the_models(self) -> None:
        balance = self.runner.run(self.accounts.balance(self.account))
        assert (balance.available_wei, balance.reserved_wei) == (self.available, self.reserved)

    @invariant()
    def money_is_neither_made_nor_lost(self) -> None:
        assert self.available + self.reserved + self.charged == self.credited

    @invariant()
    def ledger_adds_up(self) -> None:
        page = self.runner.run(self.accounts.history(self.account, limit=1_000, offset=0))
        assert sum(line.available_wei for line in page.lines) == self.available
        assert sum(line.reserved_wei for line in page.lines) == self.reserved
        charges = [line for line in page.lines if line.movement is Movement.CHARGE]
        assert -sum(line.reserved_wei for line in charges) == self.charged

    # ---------------------------------------------------------------- means
    def is_covered(self, work: Coroutine[Any, Any, object], needed: int) -> bool:
        """Whether it was done; and it must be done exactly if what is available covers it."""
        expected = needed <= 0 or needed <= self.available
        try:
            self.runner.run(work)
        except InsufficientBalance:
            assert not expected
            return False
        assert expected
        return True

    def credit(self, amount: int) -> None:
        self.available += amount
        self.credited += amount

    def tell_chain(self, found: list[Deposit], rewound_to: BlockNumber | None) -> None:
        def along(_: Connection) -> None:
            """The cursor, which is not the matter here."""

        work = self.chain.apply(found, rewound_to=rewound_to, at_ms=1, along=along)
        self.runner.run(work)


def test_money__any_order_of_movements__keeps_the_laws(location: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Money(location),
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
