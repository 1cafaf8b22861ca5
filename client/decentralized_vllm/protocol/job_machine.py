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
    """`node` holds the lease, or held the last one.

    `until_s` ends the lease (grace not included) or the open time; of an ended job it is the end.
    """

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
        case Cancel():  # pragma: no branch - there is no other action
            return _cancel(job, action.caller, now_s)


def can_expire(job: JobModel, clocks: JobClocks, now_s: int) -> bool:
    """Whether expireJob ends the job now."""
    is_alive = job.status in (JobStatus.OPEN, JobStatus.LEASED)
    return is_alive and now_s > last_second_s(job, clocks)


def last_second_s(job: JobModel, clocks: JobClocks) -> int:
    """The last second in which a node may still get or answer the job; from the next, it expires.

    A lapsed lease leaves the job in the open as long as any other, unless it was the last attempt.
    """
    if job.status is JobStatus.OPEN:
        return job.until_s
    open_s = clocks.open_s if job.attempts < clocks.max_attempts else 0
    return job.until_s + clocks.grace_s + open_s


def _deliver(job: JobModel, action: Deliver, clocks: JobClocks, now_s: int) -> Step:
    _require_holder(job, action.node, clocks, now_s)
    price = min(action.price_wei, job.escrow_wei)
    return Step(
        _moved(job, JobStatus.DELIVERED, now_s),
        refund_wei=Wei(job.escrow_wei - price),
        earning_wei=price,
    )


def _take(job: JobModel, node: Address, clocks: JobClocks, now_s: int) -> Step:
    """Who held the last lease can not take the job right again, whatever ended that lease."""
    _require_alive(job)
    if job.status is JobStatus.LEASED and not _has_lapsed(job, clocks, now_s):
        raise IllegalStep("TooEarly")
    if now_s > last_second_s(job, clocks):
        raise IllegalStep("TooLate")
    if node == job.node:
        raise IllegalStep("SameNode")
    return _punished(job, Step(_leased(job, node, clocks, now_s)))


def _hand_back(job: JobModel, action: HandBack, clocks: JobClocks, now_s: int) -> Step:
    _require_holder(job, action.node, clocks, now_s)
    charge = Wei(job.escrow_wei // CHARGE_DIVISOR)
    if action.code.is_content:
        return Step(
            _moved(job, JobStatus.FAILED, now_s),
            refund_wei=Wei(job.escrow_wei - charge),
            taken_from_escrow_wei=charge,
        )
    if job.attempts < clocks.max_attempts:
        after = Step(_moved(job, JobStatus.OPEN, now_s + clocks.open_s))
    else:
        after = _refunded(job, JobStatus.EXPIRED, now_s)
    return replace(after, charge_wei=charge, charged_node=job.node)


def _expire(job: JobModel, clocks: JobClocks, now_s: int) -> Step:
    _require_alive(job)
    if now_s <= last_second_s(job, clocks):
        raise IllegalStep("TooEarly")
    return _punished(job, _refunded(job, JobStatus.EXPIRED, now_s))


def _cancel(job: JobModel, caller: Address, now_s: int) -> Step:
    if job.status is not JobStatus.OPEN:
        raise IllegalStep("WrongStatus")
    if caller != job.requester:
        raise IllegalStep("NotRequester")
    return _refunded(job, JobStatus.CANCELLED, now_s)


def _punished(job: JobModel, after: Step) -> Step:
    """The holder of a lapsed lease pays up to the escrow, once its lapse has a consequence."""
    if job.status is not JobStatus.LEASED:
        return after
    return replace(after, penalty_wei=job.escrow_wei, charged_node=job.node)


def _refunded(job: JobModel, status: JobStatus, now_s: int) -> Step:
    return Step(_moved(job, status, now_s), refund_wei=job.escrow_wei)


def _moved(job: JobModel, status: JobStatus, until_s: int) -> JobModel:
    return replace(job, status=status, until_s=until_s)


def _leased(job: JobModel, node: Address, clocks: JobClocks, now_s: int) -> JobModel:
    leased = _moved(job, JobStatus.LEASED, now_s + clocks.lease_s)
    return replace(leased, node=node, attempts=job.attempts + 1)


def _require_alive(job: JobModel) -> None:
    if job.status not in (JobStatus.OPEN, JobStatus.LEASED):
        raise IllegalStep("WrongStatus")


def _require_holder(job: JobModel, node: Address, clocks: JobClocks, now_s: int) -> None:
    if job.status is not JobStatus.LEASED:
        raise IllegalStep("WrongStatus")
    if node != job.node:
        raise IllegalStep("NotLeaseHolder")
    if _has_lapsed(job, clocks, now_s):
        raise IllegalStep("TooLate")


def _has_lapsed(job: JobModel, clocks: JobClocks, now_s: int) -> bool:
    return now_s > job.until_s + clocks.grace_s
