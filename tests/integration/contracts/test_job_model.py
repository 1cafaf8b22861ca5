"""The library's model of a job against the contracts: the same acts, the same ends."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, Wei
from decentralized_vllm.protocol.job_machine import (
    Action,
    Cancel,
    Deliver,
    Expire,
    HandBack,
    IllegalStep,
    JobModel,
    Step,
    Take,
    last_second_s,
    step,
)
from decentralized_vllm.protocol.jobs import FailureCode
from tests.bench.gas_network import anvil
from tests.integration.contracts.job_market import (
    CLOCKS,
    NODES,
    REQUESTER,
    STRANGER,
    JobMarket,
    Money,
)

HOLDER = Address("whoever holds the lease")
CALLERS = st.sampled_from([HOLDER, HOLDER, HOLDER, *NODES])
ACTIONS = st.one_of(
    st.builds(Deliver, CALLERS, st.integers(0, 1_200)),
    st.builds(Take, st.sampled_from(NODES)),
    st.builds(Take, st.sampled_from(NODES)),
    st.builds(HandBack, CALLERS, st.sampled_from(FailureCode)),
    st.builds(HandBack, CALLERS, st.just(FailureCode.BUSY)),
    st.just(Expire()),
    st.builds(Cancel, st.sampled_from([REQUESTER, STRANGER])),
)
# A while, or the second before, at or after a deadline of the job.
WAITS = st.integers(1, 200) | st.tuples(st.sampled_from(["grace", "last"]), st.integers(-1, 1))
STEPS = st.lists(st.tuples(WAITS, ACTIONS), min_size=1, max_size=12)
# Shares from 3/256 on: smaller ones do not cover the flat fee.
BEGINNINGS = st.tuples(st.integers(2, 255), st.none() | st.sampled_from(NODES))


# Each act in the second before, at and after each deadline of a lease, and of a job that is Open.
EDGES = [
    ((255, node), [((deadline, offset), action)])
    for node in (NODES[0], None)
    for deadline in ("grace", "last")
    for offset in (-1, 0, 1)
    for action in (
        Deliver(HOLDER, Wei(7)),
        HandBack(HOLDER, FailureCode.BUSY),
        Take(NODES[1]),
        Expire(),
    )
]


@pytest.fixture(scope="module")
def market() -> Iterator[JobMarket]:
    with anvil() as url:
        yield JobMarket(url)


def checked(n_examples: int) -> Any:
    """The chain stays up from example to example, and forgets each."""
    return settings(
        max_examples=n_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.mark.parametrize(("beginning", "steps"), EDGES)
def test_job_life__act_at_a_deadline__model_and_contracts_agree(
    market: JobMarket, beginning: tuple[int, Address | None], steps: list[Any]
) -> None:
    live(market, beginning, steps)


@checked(12)
@given(beginning=BEGINNINGS, steps=STEPS)
def test_job_life__any_acts__model_and_contracts_agree(
    market: JobMarket, beginning: tuple[int, Address | None], steps: list[Any]
) -> None:
    live(market, beginning, steps)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@checked(200)
@given(beginning=BEGINNINGS, steps=STEPS)
def test_job_life__many_lives__model_and_contracts_agree(
    market: JobMarket, beginning: tuple[int, Address | None], steps: list[Any]
) -> None:
    live(market, beginning, steps)


def live(market: JobMarket, beginning: tuple[int, Address | None], steps: list[Any]) -> None:
    with market.life():
        job = market.submit(*beginning)
        assert market.job() == job
        for wait, drawn in steps:
            action = with_caller_and_price(market, job, drawn)
            job = agreed(market, job, action, seconds(market, job, wait))
            market.recover()


def agreed(market: JobMarket, job: JobModel, action: Action, wait_s: int) -> JobModel:
    """What the job is after the act, on which both have to agree."""
    before = market.money()
    error = market.act(action, wait_s)
    try:
        expected = step(job, action, CLOCKS, market.now_s)
    except IllegalStep as refusal:
        assert error == refusal.error, f"{action} {wait_s} s later"
        assert market.job() == job
        assert market.money() == before
        return job
    assert error is None, f"{action} {wait_s} s later"
    assert market.job() == expected.job
    assert_money_moved(before, market.money(), expected, action)
    return expected.job


def assert_money_moved(before: Money, after: Money, moved: Step, action: Action) -> None:
    credited = {p: after.credit[p] - before.credit[p] for p in before.credit}
    assert credited.pop(REQUESTER) == moved.refund_wei
    taken = moved.taken_from_escrow_wei + moved.charge_wei + moved.penalty_wei
    assert after.fees - before.fees + sum(credited.values()) == taken
    reporter = action.node if isinstance(action, Take) else STRANGER
    assert all(amount == 0 for party, amount in credited.items() if party != reporter)
    for node in NODES:
        lost = moved.charge_wei + moved.penalty_wei if node == moved.charged_node else 0
        assert before.staked[node] - after.staked[node] == lost
        is_paid = isinstance(action, Deliver) and action.node == node
        assert after.earned[node] - before.earned[node] == (moved.earning_wei if is_paid else 0)


def with_caller_and_price(market: JobMarket, job: JobModel, action: Action) -> Action:
    """A drawn action knows neither the holder nor prices, only a number of tokens."""
    if isinstance(action, Deliver):
        action = replace(action, price_wei=market.price_wei(action.price_wei))
    if isinstance(action, Deliver | HandBack) and action.node == HOLDER:
        return replace(action, node=NODES[0] if job.node == ZERO_ADDRESS else job.node)
    return action


def seconds(market: JobMarket, job: JobModel, wait: int | tuple[str, int]) -> int:
    if isinstance(wait, int):
        return wait
    deadline, offset = wait
    edge = job.until_s + CLOCKS.grace_s if deadline == "grace" else last_second_s(job, CLOCKS)
    return max(edge + offset - market.now_s, 1)
