"""Jobs that are nobody's, or that their holder let lapse: take them, expire them, or wait."""

from dataclasses import dataclass

from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from decentralized_vllm.protocol.units import WEI_PER_TOKEN

RECHECK_S = 2  # while every slot is busy


@dataclass(frozen=True, slots=True)
class MarketRules:
    """What the coordinator was built with."""

    grace_s: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Appetite:
    """What this node wants at the moment."""

    takes: bool
    expires: bool
    has_free_slot: bool


@dataclass(frozen=True, slots=True)
class Take:
    pass


@dataclass(frozen=True, slots=True)
class Expire:
    pass


@dataclass(frozen=True, slots=True)
class LookAgain:
    at_s: int


@dataclass(frozen=True, slots=True)
class Forget:
    pass


Move = Take | Expire | LookAgain | Forget


def next_move(
    state: JobState, *, now_s: float, me: Address, rules: MarketRules, appetite: Appetite
) -> Move:
    """Decides on a job that is not ours, by the contract's clocks at their exact second."""
    if state.status is JobStatus.OPEN:
        return _of_open(state, now_s, appetite)
    if state.status is JobStatus.LEASED and state.node != me:
        return _of_leased(state, now_s, rules, appetite)
    return Forget()


def due_s(state: JobState, rules: MarketRules) -> int:
    """The first second at which a lease counts as lapsed."""
    return state.until_s + rules.grace_s + 1


def _of_open(state: JobState, now_s: float, appetite: Appetite) -> Move:
    if now_s > state.until_s:
        return Expire() if appetite.expires else Forget()
    if appetite.takes:
        return Take() if appetite.has_free_slot else LookAgain(int(now_s) + RECHECK_S)
    return LookAgain(state.until_s + 1) if appetite.expires else Forget()


def _of_leased(state: JobState, now_s: float, rules: MarketRules, appetite: Appetite) -> Move:
    lapses_s = due_s(state, rules)
    if now_s < lapses_s:
        return LookAgain(lapses_s)
    if state.attempts >= rules.max_attempts:
        return Expire() if appetite.expires else Forget()
    if appetite.takes:
        return Take() if appetite.has_free_slot else LookAgain(int(now_s) + RECHECK_S)
    return Forget()


def is_worth_taking(
    escrow_wei: Wei, *, gas_price_wei: Wei, gas_units: int, token_value_wei: int | None
) -> bool:
    """Whether the most this job can pay covers the gas of taking and answering it.

    `token_value_wei` is what one whole token is worth in the chain's own coin; without it the
    two can not be compared and every job is worth taking.
    """
    if token_value_wei is None:
        return True
    return escrow_wei * token_value_wei // WEI_PER_TOKEN >= gas_price_wei * gas_units
