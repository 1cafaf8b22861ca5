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
    state: JobState,
    *,
    now_s: float,
    me: Address,
    rules: MarketRules,
    open_s: int,
    appetite: Appetite,
) -> Move:
    """Decides on a job that is not ours, by the contract's clocks at their exact second.

    `open_s` is the open time of the job's version: a lapsed lease may be taken that long.
    """
    if state.status is JobStatus.OPEN:
        return _of_takeable(state.until_s, now_s, appetite)
    if state.status is JobStatus.LEASED and state.node != me:
        return _of_leased(state, now_s, rules, open_s, appetite)
    return Forget()


def _of_leased(
    state: JobState, now_s: float, rules: MarketRules, open_s: int, appetite: Appetite
) -> Move:
    grace_ends_s = state.until_s + rules.grace_s
    if now_s <= grace_ends_s:
        return LookAgain(grace_ends_s + 1)
    has_attempts = state.attempts < rules.max_attempts
    return _of_takeable(grace_ends_s + (open_s if has_attempts else 0), now_s, appetite)


def _of_takeable(last_s: int, now_s: float, appetite: Appetite) -> Move:
    """`last_s` is the last second at which the job may be taken; then anyone may expire it."""
    if now_s > last_s:
        return Expire() if appetite.expires else Forget()
    if appetite.takes:
        return Take() if appetite.has_free_slot else LookAgain(int(now_s) + RECHECK_S)
    return LookAgain(last_s + 1) if appetite.expires else Forget()


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
