"""Tasks whose maker left, or whose database fell silent, before anybody knew they were made."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.prompts import chat_prompt
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.ids import TaskId, new_task_id
from dvllm_gateway.services import task_doubts
from dvllm_gateway.services.stores import Along, Assignment
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_market import Order, Stored
from dvllm_gateway.services.tasks import TaskRecord, TaskRequest, TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.scripted_market import ScriptedMarket, delivered_job, open_job
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, eventually, running


@pytest.fixture(autouse=True)
def looks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_doubts, "LOOK_EVERY_S", 0.0)


class SlowStore(MemoryTaskStore):
    """Has kept a task a moment before it says so; may be out of reach when it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.n_outages = 0
        self.is_unsure = False
        self.grant(ALICE, GRANT_WEI)

    async def create_all(self, tasks: Sequence[tuple[TaskRecord, Assignment]]) -> None:
        await super().create_all(tasks)
        await asyncio.sleep(0)
        if self.is_unsure:
            raise NetworkUnavailable("the database went away")

    async def get(self, task_id: TaskId) -> TaskRecord | None:
        if self.n_outages:
            self.n_outages -= 1
            raise NetworkUnavailable("the database does not answer")
        return await super().get(task_id)

    @property
    def is_holding(self) -> bool:
        return self.balances[ALICE].reserved_wei > 0


class SlowMarket(ScriptedMarket):
    """Stores submissions with their tasks, and has sent each a moment before it says so."""

    async def store_with(self, order: Order, along: Along) -> Stored | None:
        along(None)
        self.sent[order.task_id] = order
        await asyncio.sleep(0)
        return None


async def left(desk: Desk, store: SlowStore) -> None:
    """Submits one, and leaves when it is kept and nobody was told."""
    submitting = asyncio.create_task(desk.submit())
    await eventually(lambda: store.is_holding)
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting


async def test_submit__caller_leaves_while_it_is_kept__given_back_and_never_sent() -> None:
    store = SlowStore()
    async with running(store, ScriptedMarket(), limits=TaskLimits(live_per_account=1)) as desk:
        await left(desk, store)
        await eventually(lambda: not store.is_holding)
        assert store.balances[ALICE].available_wei == GRANT_WEI
        assert desk.market.sent == {}
        await desk.submitted()  # and it counts no more


async def test_submit__caller_leaves_when_it_is_sent_already__its_job_is_taken_back() -> None:
    store, market = SlowStore(), SlowMarket()
    async with running(store, market) as desk:
        await left(desk, store)
        (task_id,) = market.sent
        watch = await market.watch_of(task_id)
        watch.set(open_job())
        await eventually(lambda: market.cancelled == [1])
        watch.set(replace(open_job(), status=JobStatus.CANCELLED))
        await eventually(lambda: not store.is_holding)


async def test_submit_all__caller_leaves_while_they_are_kept__all_given_back() -> None:
    store = SlowStore()
    async with running(store, ScriptedMarket()) as desk:
        document = chat_prompt("hello", SamplingParameters(max_tokens=10))
        request = TaskRequest(ModelId("tiny"), document, "hello")
        submitting = asyncio.create_task(desk.service.submit_all(ALICE, [request] * 3))
        await eventually(lambda: store.is_holding)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        await eventually(lambda: not store.is_holding)
        assert store.balances[ALICE].available_wei == GRANT_WEI
        assert desk.market.sent == {}


async def test_submit__database_says_nothing_for_a_while__given_back() -> None:
    store = SlowStore()
    store.is_unsure, store.n_outages = True, 3
    async with running(store, ScriptedMarket()) as desk:
        with pytest.raises(NetworkUnavailable):
            await desk.submit()
        await eventually(lambda: not store.is_holding)
        assert desk.market.sent == {}


async def test_submit__of_a_request_that_may_be_sent_again__goes_on() -> None:
    store, task_id = SlowStore(), new_task_id()
    store.is_unsure, store.n_outages = True, 3
    async with running(store, ScriptedMarket()) as desk:
        with pytest.raises(NetworkUnavailable):
            await desk.submit(task_id=task_id)
        watch = await desk.market.watch_of(task_id)
        watch.set(delivered_job())
        assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_doubts__kept_after_all_by_who_knows__is_not_touched() -> None:
    store = SlowStore()
    store.is_unsure = True
    async with running(store, ScriptedMarket()) as desk:
        task_id, watch = await desk.submitted()
        assert not desk.crew._doubts._open
        watch.set(delivered_job())
        assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_doubts__never_kept__are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_doubts, "MADE_WITHIN_S", 0.0)
    store = SlowStore()

    async def refuse(record: TaskRecord, assignment: Assignment) -> None:
        raise NetworkUnavailable("the database does not answer")

    monkeypatch.setattr(store, "create", refuse)
    async with running(store, ScriptedMarket()) as desk:
        with pytest.raises(NetworkUnavailable):
            await desk.submit()
        await eventually(lambda: not desk.crew._doubts._open)
    assert store.balances[ALICE].available_wei == GRANT_WEI


class Reopening(MemoryTaskStore):
    """Is asked what is unfinished, and answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.grant(ALICE, GRANT_WEI)
        self.may_create = asyncio.Event()
        self.may_create.set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def create(self, record: TaskRecord, assignment: Assignment) -> None:
        await self.may_create.wait()
        await super().create(record, assignment)

    async def unfinished(self, sender: object) -> tuple[tuple[TaskRecord, Assignment], ...]:
        await self.may_answer.wait()
        return await super().unfinished(sender)  # type: ignore[arg-type]


async def test_submit__key_is_lost_and_held_again_meanwhile__runs() -> None:
    """Its record is kept just while the tasks of the last duty are looked for."""
    store, market = Reopening(), ScriptedMarket()
    async with running(store, market) as desk:
        store.may_create.clear()
        submitting = asyncio.create_task(desk.submit())
        await asyncio.sleep(0)
        store.may_answer.clear()
        leases = desk.crew._leases
        (name,) = leases._holders  # type: ignore[attr-defined]
        leases._holders[name] = "somebody"  # type: ignore[attr-defined]
        await eventually(lambda: not desk.crew.is_on_duty)
        await leases.release(name, "somebody")
        await eventually(lambda: desk.crew._duty_now is not None)
        store.may_create.set()
        record = await submitting
        store.may_answer.set()
        watch = await market.watch_of(record.id)
        watch.set(delivered_job())
        assert (await desk.over(record.id)).state is TaskState.COMPLETED
