"""The model of a job's life: its laws under any actions, and each clock's exact second."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.job_machine import (
    Cancel,
    Deliver,
    Expire,
    HandBack,
    IllegalStep,
    JobClocks,
    Take,
    can_expire,
    last_second_s,
    step,
    submit,
)
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus

CLOCKS = JobClocks(lease_s=120, open_s=300, grace_s=15, max_attempts=4)
ESCROW = Wei(1_000)
ALICE, BOB, CAROL = "alice", "bob", "carol"
NODES = st.sampled_from([BOB, CAROL, "dora"])


def leased(now_s=1_000, node=BOB):
    return submit(ALICE, ESCROW, node, CLOCKS, now_s)


def opened(now_s=1_000):
    return submit(ALICE, ESCROW, None, CLOCKS, now_s)


def refused(job, action, now_s):
    with pytest.raises(IllegalStep) as caught:
        step(job, action, CLOCKS, now_s)
    return caught.value.error


class JobLife(RuleBasedStateMachine):
    """Any actions at any times: the escrow leaves once, whole, and before the deadline."""

    @initialize(drawn=st.none() | NODES)
    def begin(self, drawn):
        self.begin_s = self.now_s = 1_000
        self.job = submit(ALICE, ESCROW, drawn, CLOCKS, self.now_s)
        self.paid_out = 0
        self.endings = 0

    @rule(seconds=st.integers(0, 400))
    def wait(self, seconds):
        self.now_s += seconds

    @rule(node=NODES, price=st.integers(0, 2_000).map(Wei))
    def deliver(self, node, price):
        self.act(Deliver(node, price))

    @rule(node=NODES)
    def take(self, node):
        self.act(Take(node))

    @rule(node=NODES, code=st.sampled_from(FailureCode))
    def hand_back(self, node, code):
        self.act(HandBack(node, code))

    @rule()
    def expire(self):
        self.act(Expire())

    @rule(caller=st.sampled_from([ALICE, BOB]))
    def cancel(self, caller):
        self.act(Cancel(caller))

    def act(self, action):
        before = self.job
        try:
            done = step(before, action, CLOCKS, self.now_s)
        except IllegalStep:
            return
        assert not before.status.is_over, "an ended job changed"
        self.job = done.job
        self.paid_out += done.refund_wei + done.earning_wei + done.taken_from_escrow_wei
        self.endings += done.job.status.is_over

    @invariant()
    def escrow_leaves_once_and_whole(self):
        assert self.endings == self.job.status.is_over
        assert self.paid_out == (ESCROW if self.job.status.is_over else 0)

    @invariant()
    def attempts_stay_within_the_cap(self):
        assert 0 <= self.job.attempts <= CLOCKS.max_attempts

    @invariant()
    def a_clock_never_reaches_beyond_the_deadline(self):
        if not self.job.status.is_over:
            assert last_second_s(self.job, CLOCKS) <= self.begin_s + CLOCKS.max_life_s

    @invariant()
    def after_the_deadline_one_call_of_anyone_ends_it(self):
        late_s = max(self.now_s, self.begin_s + CLOCKS.max_life_s + 1)
        if not self.job.status.is_over:
            done = step(self.job, Expire(), CLOCKS, late_s)
            assert done.job.status is JobStatus.EXPIRED
            assert done.refund_wei == ESCROW

    @invariant()
    def can_expire_tells_the_truth(self):
        if self.job.status in (JobStatus.OPEN, JobStatus.LEASED):
            try:
                step(self.job, Expire(), CLOCKS, self.now_s)
                expired = True
            except IllegalStep:
                expired = False
            assert can_expire(self.job, CLOCKS, self.now_s) is expired


TestJobLife = JobLife.TestCase
TestJobLife.settings = settings(max_examples=200, stateful_step_count=40)


def test_submit__without_a_free_node__is_open_for_the_open_time():
    job = opened(1_000)
    assert (job.status, job.until_s, job.attempts) == (JobStatus.OPEN, 1_300, 0)


def test_submit__with_a_drawn_node__is_leased():
    job = leased(1_000)
    assert (job.status, job.node, job.until_s, job.attempts) == (JobStatus.LEASED, BOB, 1_120, 1)


def test_deliver__cheaper_than_the_escrow__splits_it():
    done = step(leased(), Deliver(BOB, Wei(300)), CLOCKS, 1_001)
    assert done.job.status is JobStatus.DELIVERED
    assert (done.earning_wei, done.refund_wei) == (300, 700)


def test_deliver__dearer_than_the_escrow__is_clamped():
    done = step(leased(), Deliver(BOB, Wei(5_000)), CLOCKS, 1_001)
    assert (done.earning_wei, done.refund_wei) == (1_000, 0)


def test_deliver__by_another_node__is_refused():
    assert refused(leased(), Deliver(CAROL, Wei(1)), 1_001) == "NotLeaseHolder"


def test_lease__last_second_of_grace__still_its_holders():
    assert refused(leased(), Take(CAROL), 1_135) == "TooEarly"
    assert refused(leased(), Expire(), 1_135) == "TooEarly"
    done = step(leased(), Deliver(BOB, Wei(1)), CLOCKS, 1_135)
    assert done.job.status is JobStatus.DELIVERED


def test_lease__first_second_after_grace__is_lost():
    assert refused(leased(), Deliver(BOB, Wei(1)), 1_136) == "TooLate"
    assert refused(leased(), HandBack(BOB, FailureCode.BUSY), 1_136) == "TooLate"
    done = step(leased(), Take(CAROL), CLOCKS, 1_136)
    assert (done.job.node, done.job.attempts, done.job.until_s) == (CAROL, 2, 1_256)
    assert (done.penalty_wei, done.charged_node, done.refund_wei) == (ESCROW, BOB, 0)


def test_take__by_the_last_holder__is_refused():
    assert refused(leased(), Take(BOB), 1_136) == "SameNode"
    busy = step(leased(), HandBack(BOB, FailureCode.BUSY), CLOCKS, 1_010).job
    assert refused(busy, Take(BOB), 1_011) == "SameNode"


def test_open__last_second__may_be_taken_and_not_expired():
    assert refused(opened(), Expire(), 1_300) == "TooEarly"
    assert step(opened(), Take(BOB), CLOCKS, 1_300).job.status is JobStatus.LEASED


def test_open__first_second_after__only_expires():
    assert refused(opened(), Take(BOB), 1_301) == "TooLate"
    done = step(opened(), Expire(), CLOCKS, 1_301)
    assert (done.job.status, done.refund_wei) == (JobStatus.EXPIRED, ESCROW)


@pytest.mark.parametrize("code", [FailureCode.BUSY, FailureCode.ENGINE_FAILED])
def test_hand_back__busy_or_engine__reopens_and_charges_the_node(code):
    done = step(leased(), HandBack(BOB, code), CLOCKS, 1_050)
    assert (done.job.status, done.job.until_s) == (JobStatus.OPEN, 1_350)
    assert (done.charge_wei, done.charged_node, done.refund_wei) == (20, BOB, 0)


def test_hand_back__at_the_cap__expires_with_a_full_refund():
    job = replace(leased(), attempts=4)
    done = step(job, HandBack(BOB, FailureCode.BUSY), CLOCKS, 1_050)
    assert (done.job.status, done.refund_wei, done.charge_wei) == (JobStatus.EXPIRED, ESCROW, 20)


@pytest.mark.parametrize("code", [code for code in FailureCode if code.is_content])
def test_hand_back__content__ends_the_job_at_the_requesters_cost(code):
    done = step(leased(), HandBack(BOB, code), CLOCKS, 1_050)
    assert done.job.status is JobStatus.FAILED
    assert (done.refund_wei, done.taken_from_escrow_wei, done.charge_wei) == (980, 20, 0)


def test_lapse__below_the_cap__may_be_taken_for_the_open_time_and_then_expires():
    assert refused(leased(), Expire(), 1_435) == "TooEarly"
    assert step(leased(), Take(CAROL), CLOCKS, 1_435).job.status is JobStatus.LEASED
    assert refused(leased(), Take(CAROL), 1_436) == "TooLate"
    done = step(leased(), Expire(), CLOCKS, 1_436)
    assert (done.job.status, done.refund_wei) == (JobStatus.EXPIRED, ESCROW)
    assert (done.penalty_wei, done.charged_node) == (ESCROW, BOB)


def test_lapse__at_the_cap__expires_at_once_and_can_not_be_taken():
    job = replace(leased(), attempts=4)
    assert refused(job, Take(CAROL), 1_136) == "TooLate"
    done = step(job, Expire(), CLOCKS, 1_136)
    assert (done.job.status, done.refund_wei) == (JobStatus.EXPIRED, ESCROW)
    assert done.penalty_wei == ESCROW


def test_cancel__while_open__refunds_all():
    done = step(opened(), Cancel(ALICE), CLOCKS, 1_001)
    assert (done.job.status, done.refund_wei) == (JobStatus.CANCELLED, ESCROW)


def test_cancel__while_leased_or_by_another__is_refused():
    assert refused(leased(), Cancel(ALICE), 1_001) == "WrongStatus"
    assert refused(opened(), Cancel(BOB), 1_001) == "NotRequester"


@pytest.mark.parametrize(
    "action",
    [
        Deliver(BOB, Wei(1)),
        Take(CAROL),
        HandBack(BOB, FailureCode.BUSY),
        Expire(),
        Cancel(ALICE),
    ],
    ids=lambda action: type(action).__name__,
)
def test_ended_job__any_action__is_refused(action):
    over = step(opened(), Cancel(ALICE), CLOCKS, 1_001).job
    assert refused(over, action, 1_002) == "WrongStatus"
