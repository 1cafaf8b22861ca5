"""A task from the reservation to its end, step by step."""

from dataclasses import replace

import pytest

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from decentralized_vllm.protocol.responses import parse_response
from dvllm_gateway.errors import (
    InvalidRequest,
    Kind,
    NetworkUnavailable,
    NoCapacity,
    NotFound,
    TaskFailed,
    TransactionRejected,
)
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.events import EventName
from dvllm_gateway.services.task_jobs import JobWatch, Rejected
from dvllm_gateway.services.task_market import AnswerMissing, Delivery, Order
from dvllm_gateway.services.task_runner import TaskPatience
from dvllm_gateway.services.tasks import TaskState
from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.scripted_market import (
    ESCROW_WEI,
    NODE,
    OTHER_NODE,
    RESPONSE_CID,
    ScriptedMarket,
    answer,
    delivered_job,
    failed_job,
    leased_job,
    open_job,
)
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, eventually, running
from tests.support.vectors import load


async def test_life__leased_and_delivered__costs_what_the_chain_took(
    desk: Desk, store: MemoryTaskStore
) -> None:
    task_id, watch = await desk.submitted()
    watch.set(leased_job())
    record = await desk.service.wait_submitted(ALICE, task_id, 10)
    assert (record.job_id, record.state, record.worker) == (1, TaskState.RUNNING, NODE)
    watch.set(delivered_job())
    done = await desk.over(task_id)
    assert (done.state, done.response, done.cost_wei) == (TaskState.COMPLETED, "hi there", 400)
    assert store.balances[ALICE].available_wei == GRANT_WEI - 400
    assert store.balances[ALICE].reserved_wei == 0
    await eventually(lambda: desk.market.forgotten == [watch])
    await eventually(lambda: _names(desk, 3))
    assert [event.name for event in await desk.told()] == [
        EventName.TASK_SUBMITTED,
        EventName.TASK_STARTED,
        EventName.TASK_COMPLETED,
    ]


async def _names(desk: Desk, n: int) -> bool:
    return len(await desk.told()) == n


async def test_life__chain_took_more_than_was_reserved__never_costs_more(desk: Desk) -> None:
    desk.market.deliveries.append(Delivery(answer(), Wei(ESCROW_WEI + 1)))
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    assert (await desk.over(task_id)).cost_wei == ESCROW_WEI


async def test_life__delivered_at_the_first_look__submitted_is_told_too(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    await desk.over(task_id)
    await eventually(lambda: _names(desk, 2))
    assert [event.name for event in await desk.told()] == [
        EventName.TASK_SUBMITTED,
        EventName.TASK_COMPLETED,
    ]


@pytest.mark.parametrize(
    ("job", "state", "kind"),
    [
        (failed_job(FailureCode.CONTENT_INVALID), TaskState.FAILED, Kind.PROMPT_REFUSED),
        (failed_job(FailureCode.CONTENT_MISSING), TaskState.FAILED, Kind.TASK_FAILED),
        (failed_job(FailureCode.CONTENT_TOO_LARGE), TaskState.FAILED, Kind.PROMPT_TOO_LONG),
        (replace(open_job(), status=JobStatus.EXPIRED), TaskState.FAILED, Kind.NO_CAPACITY),
        (replace(open_job(), status=JobStatus.CANCELLED), TaskState.CANCELLED, Kind.TASK_FAILED),
    ],
    ids=["refused", "missing", "too long", "expired", "cancelled"],
)
async def test_life__ends_without_an_answer__costs_nothing(
    desk: Desk, store: MemoryTaskStore, job: object, state: TaskState, kind: Kind
) -> None:
    task_id, watch = await desk.submitted()
    watch.set(leased_job())
    watch.set(job)  # type: ignore[arg-type]
    done = await desk.over(task_id)
    assert (done.state, done.cost_wei) == (state, 0)
    assert done.failure is not None and done.failure.kind is kind
    assert store.balances[ALICE].available_wei == GRANT_WEI


async def test_life__handed_back_and_leased_again__pending_then_running_elsewhere(
    desk: Desk,
) -> None:
    task_id, watch = await desk.submitted()
    watch.set(leased_job())
    await desk.service.wait_submitted(ALICE, task_id, 10)
    started_at_ms = (await desk.service.get(ALICE, task_id)).started_at_ms
    watch.set(open_job())
    await eventually(lambda: _state(desk, task_id, TaskState.PENDING))
    assert (await desk.service.get(ALICE, task_id)).worker is None
    watch.set(leased_job(node=OTHER_NODE, n_leases=2))
    await eventually(lambda: _state(desk, task_id, TaskState.RUNNING))
    record = await desk.service.get(ALICE, task_id)
    assert (record.worker, record.started_at_ms) == (OTHER_NODE, started_at_ms)


async def _state(desk: Desk, task_id: object, state: TaskState) -> bool:
    return (await desk.service.get(ALICE, task_id)).state is state  # type: ignore[arg-type]


async def test_life__reorganised_away_and_back__job_of_the_new_block_counts(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(leased_job(1))
    await desk.service.wait_submitted(ALICE, task_id, 10)
    watch.set(None)
    await eventually(lambda: _state(desk, task_id, TaskState.PENDING))
    assert (await desk.service.get(ALICE, task_id)).job_id is None
    watch.set(delivered_job(2))
    assert (await desk.over(task_id)).job_id == 2


async def test_life__delivery_reorganised_away_while_it_is_read__goes_on(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    desk.market.deliveries.append(NetworkUnavailable("not now"))
    watch.set(delivered_job())
    await eventually(lambda: not desk.market.deliveries)
    watch.set(leased_job(node=OTHER_NODE, n_leases=2))
    await eventually(lambda: _state(desk, task_id, TaskState.RUNNING))
    watch.set(delivered_job(node=OTHER_NODE))
    assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_life__answer_can_not_be_read_for_a_while__is_read_later(desk: Desk) -> None:
    desk.market.deliveries.append(NetworkUnavailable("not now"))
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_life__answer_is_not_the_nodes__fails_and_costs_nothing(desk: Desk) -> None:
    desk.market.deliveries.append(TaskFailed("the node's answer is not valid"))
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    done = await desk.over(task_id)
    assert (done.state, done.cost_wei, done.response) == (TaskState.FAILED, 0, None)


async def test_life__answer_is_never_read__given_up_in_the_end(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    market.deliveries.extend(AnswerMissing("not now") for _ in range(9))
    async with running(store, market, patience=TaskPatience(answer_s=0.1)) as desk:
        task_id, watch = await desk.submitted()
        watch.set(delivered_job())
        done = await desk.over(task_id)
    assert done.failure is not None and done.failure.kind is Kind.NETWORK_UNAVAILABLE


async def test_life__delivered_and_the_chain_falls_silent__answer_is_waited_for(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    market.deliveries.extend(NetworkUnavailable("the chain does not answer") for _ in range(3))
    async with running(store, market, patience=TaskPatience(answer_s=0.0)) as desk:
        task_id, watch = await desk.submitted()
        watch.set(delivered_job())
        assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_send__outages_and_lack_of_money__tried_again(desk: Desk) -> None:
    desk.market.refusals.extend([NetworkUnavailable("chain"), NoCapacity("money")])
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    assert (await desk.over(task_id)).state is TaskState.COMPLETED


@pytest.mark.parametrize(
    "refusal", [TransactionRejected("no"), InvalidRequest("too dear", field="max_fee")]
)
async def test_send__refused_for_good__fails_and_costs_nothing(
    desk: Desk, store: MemoryTaskStore, refusal: TransactionRejected | InvalidRequest
) -> None:
    desk.market.refusals.append(refusal)
    record = await desk.submit()
    done = await desk.over(record.id)
    assert done.failure is not None and done.failure.kind is refusal.kind
    assert store.balances[ALICE].available_wei == GRANT_WEI


async def test_send__never_possible__given_up_in_the_end(
    store: MemoryTaskStore, market: ScriptedMarket
) -> None:
    market.refusals.extend(NetworkUnavailable("chain") for _ in range(9))
    async with running(store, market, patience=TaskPatience(submit_s=0.1)) as desk:
        record = await desk.submit()
        done = await desk.over(record.id)
    assert done.failure is not None and done.failure.kind is Kind.NETWORK_UNAVAILABLE


class UnsureMarket(ScriptedMarket):
    """Keeps a submission and does not say so; for a while it can not tell either."""

    def __init__(self) -> None:
        super().__init__()
        self.n_silent = 3

    async def submit(self, order: Order, watch: JobWatch) -> None:
        is_first = order.task_id not in self.sent
        await super().submit(order, watch)
        if is_first:
            raise NetworkUnavailable("the database went away")

    async def is_submitted(self, task_id: TaskId) -> bool:
        if self.n_silent:
            self.n_silent -= 1
            raise NetworkUnavailable("the database does not answer")
        return await super().is_submitted(task_id)


async def test_send__kept_and_nobody_can_tell__is_not_given_up(store: MemoryTaskStore) -> None:
    """Its job is answered and paid: to give it up would leave its owner without the answer."""
    market = UnsureMarket()
    async with running(store, market, patience=TaskPatience(submit_s=0.0)) as desk:
        task_id, watch = await desk.submitted()
        watch.set(delivered_job())
        assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_send__mined_and_reverted__fails(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(Rejected(TransactionRejected("the contract refused it")))
    done = await desk.over(task_id)
    assert done.failure is not None and done.failure.kind is Kind.TRANSACTION_FAILED


async def test_runner__has_a_defect__is_logged_and_the_task_goes_on(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, calls = desk.market.delivery, []

    async def broken_once(job: object) -> Delivery:
        calls.append(job)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        return await delivery(job)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.market, "delivery", broken_once)
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    assert (await desk.over(task_id)).state is TaskState.COMPLETED
    assert "task_broke_off" in caplog.text


async def test_document__of_an_answer__is_what_the_node_signed(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    with pytest.raises(NotFound):
        await desk.service.document(await desk.service.get(ALICE, task_id))
    watch.set(delivered_job())
    done = await desk.over(task_id)
    document = parse_response(load("documents")["responses"][0]["canonical"].encode())
    desk.market.documents[NODE, RESPONSE_CID] = document
    assert await desk.service.document(done) is document


async def test_document__node_gone__says_that_a_task_exists(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    done = await desk.over(task_id)
    desk.market.documents[NODE, RESPONSE_CID] = NetworkUnavailable("gone")
    with pytest.raises(NetworkUnavailable) as away:
        await desk.service.document(done)
    assert away.value.task_created
