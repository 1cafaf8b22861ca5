"""The life of one job as the coordinator enforces it: state × action → state and money.

A pure model of the contract. Clients ask it what can still happen to a job, and tests hold the
contract against it. Amounts that depend on a node's stake are given before they are clamped to it.
"""

from dataclasses import dataclass, replace

from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, Wei
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus

NOTHING = Wei(0)
CHARGE_DIVISOR = 50  # a handed-back or unanswerable job costs R/50


class IllegalStep(Exception):
    """The contract reverts; `error` is the name of its custom error."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class JobClocks:
    """All in seconds of chain time."""

    lease_s: int
    open_s: int
    grace_s: int
    max_attempts: int

    @property
    def max_life_s(self) -> int:
        """After this long anyone can end the job: what "deadline" means everywhere."""
        return self.open_s + self.max_attempts * (self.lease_s + self.grace_s + self.open_s)


@dataclass(frozen=True, slots=True)
class JobModel:
    """`node` holds the lease, or held the last one; `until_s` ends the lease or the open time."""

    requester: Address
    status: JobStatus
    node: Address
    until_s: int
    attempts: int
    escrow_wei: Wei


@dataclass(frozen=True, slots=True)
class Deliver:
    node: Address
    price_wei: Wei


@dataclass(frozen=True, slots=True)
class Take:
    node: Address


@dataclass(frozen=True, slots=True)
class HandBack:
    node: Address
    code: FailureCode


@dataclass(frozen=True, slots=True)
class Expire:
    pass


@dataclass(frozen=True, slots=True)
class Cancel:
    caller: Address


Action = Deliver | Take | HandBack | Expire | Cancel


@dataclass(frozen=True, slots=True)
class Step:
    """What an action changed. Escrow leaves as refund + earning + `taken_from_escrow_wei`.

    `charge_wei` (a hand-back) and `penalty_wei` (a no-show) come out of `charged_node`'s stake.
    """

    job: JobModel
    refund_wei: Wei = NOTHING
    earning_wei: Wei = NOTHING
    taken_from_escrow_wei: Wei = NOTHING
    charge_wei: Wei = NOTHING
    penalty_wei: Wei = NOTHING
    charged_node: Address = ZERO_ADDRESS


def submit(
    requester: Address, escrow_wei: Wei, drawn: Address | None, clocks: JobClocks, now_s: int
) -> JobModel:
    """A new job: leased to the drawn (or named) node, open where none was free."""
    job = JobModel(requester, JobStatus.OPEN, ZERO_ADDRESS, now_s + clocks.open_s, 0, escrow_wei)
    return job if drawn is None else _leased(job, drawn, clocks, now_s)


def step(job: JobModel, action: Action, clocks: JobClocks, now_s: int) -> Step:
    """Raises IllegalStep where the contract reverts."""
    match action:
        case Deliver():
            return _deliver(job, action, clocks, now_s)
        case Take():
            return _take(job, action.node, clocks, now_s)
        case HandBack():
            return _hand_back(job, action, clocks, now_s)
        case Expire():
            return _expire(job, clocks, now_s)
        case Cancel():
            return _cancel(job, action.caller)


def can_expire(job: JobModel, clocks: JobClocks, now_s: int) -> bool:
    """Whether expireJob does something now: ends the job, or reopens one whose holder lapsed."""
    if job.status is JobStatus.OPEN:
        return now_s > job.until_s
    return job.status is JobStatus.LEASED and _has_lapsed(job, clocks, now_s)


def _deliver(job: JobModel, action: Deliver, clocks: JobClocks, now_s: int) -> Step:
    _require_holder(job, action.node, clocks, now_s)
    price = min(action.price_wei, job.escrow_wei)
    return Step(
        replace(job, status=JobStatus.DELIVERED),
        refund_wei=Wei(job.escrow_wei - price),
        earning_wei=price,
    )


def _take(job: JobModel, node: Address, clocks: JobClocks, now_s: int) -> Step:
    """Who held the last lease can not take the job right again, whatever ended that lease."""
    if node == job.node:
        raise IllegalStep("SameNode")
    if job.status is JobStatus.OPEN:
        if now_s > job.until_s:
            raise IllegalStep("TooLate")
        return Step(_leased(job, node, clocks, now_s))
    lapse = _lapse(job, clocks, now_s)
    if lapse.job.status is not JobStatus.OPEN:
        raise IllegalStep("TooLate")
    return replace(lapse, job=_leased(lapse.job, node, clocks, now_s))


def _hand_back(job: JobModel, action: HandBack, clocks: JobClocks, now_s: int) -> Step:
    _require_holder(job, action.node, clocks, now_s)
    charge = Wei(job.escrow_wei // CHARGE_DIVISOR)
    if action.code.is_content:
        return Step(
            replace(job, status=JobStatus.FAILED),
            refund_wei=Wei(job.escrow_wei - charge),
            taken_from_escrow_wei=charge,
        )
    after = _reopened(job, clocks, opened_s=now_s, now_s=now_s)
    return replace(after, charge_wei=charge, charged_node=job.node)


def _expire(job: JobModel, clocks: JobClocks, now_s: int) -> Step:
    if job.status is not JobStatus.OPEN:
        return _lapse(job, clocks, now_s)
    if now_s <= job.until_s:
        raise IllegalStep("TooEarly")
    return _ended(job, JobStatus.EXPIRED)


def _cancel(job: JobModel, caller: Address) -> Step:
    if caller != job.requester:
        raise IllegalStep("NotRequester")
    if job.status is not JobStatus.OPEN:
        raise IllegalStep("WrongStatus")
    return _ended(job, JobStatus.CANCELLED)


def _lapse(job: JobModel, clocks: JobClocks, now_s: int) -> Step:
    """The holder let lease and grace pass. The open time counts from then, not from the call."""
    if job.status is not JobStatus.LEASED:
        raise IllegalStep("WrongStatus")
    if not _has_lapsed(job, clocks, now_s):
        raise IllegalStep("TooEarly")
    after = _reopened(job, clocks, opened_s=job.until_s + clocks.grace_s, now_s=now_s)
    return replace(after, penalty_wei=job.escrow_wei, charged_node=job.node)


def _reopened(job: JobModel, clocks: JobClocks, *, opened_s: int, now_s: int) -> Step:
    until_s = opened_s + clocks.open_s
    if job.attempts >= clocks.max_attempts or now_s > until_s:
        return _ended(job, JobStatus.EXPIRED)
    return Step(replace(job, status=JobStatus.OPEN, until_s=until_s))


def _ended(job: JobModel, status: JobStatus) -> Step:
    return Step(replace(job, status=status), refund_wei=job.escrow_wei)


def _leased(job: JobModel, node: Address, clocks: JobClocks, now_s: int) -> JobModel:
    return replace(
        job,
        status=JobStatus.LEASED,
        node=node,
        until_s=now_s + clocks.lease_s,
        attempts=job.attempts + 1,
    )


def _require_holder(job: JobModel, node: Address, clocks: JobClocks, now_s: int) -> None:
    if job.status is not JobStatus.LEASED:
        raise IllegalStep("WrongStatus")
    if node != job.node:
        raise IllegalStep("NotLeaseHolder")
    if _has_lapsed(job, clocks, now_s):
        raise IllegalStep("TooLate")


def _has_lapsed(job: JobModel, clocks: JobClocks, now_s: int) -> bool:
    return now_s > job.until_s + clocks.grace_s
