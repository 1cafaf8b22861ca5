"""What a transaction offers for gas, and how much more when it has to be replaced (EIP-1559)."""

from dataclasses import dataclass

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import gwei

LEAST_TIP_WEI = Wei(1_000_000)
MOST_TIP_WEI = gwei(50)
CEILING_WEI = gwei(500)


@dataclass(frozen=True, slots=True)
class Fees:
    """Per unit of gas. `max_fee_wei` bounds base fee and tip together."""

    max_fee_wei: Wei
    tip_wei: Wei


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """Bounds of what is ever offered.

    A node's suggested tip is taken within [min_tip_wei, max_tip_wei] only: it is a stranger's
    word. Nothing above `ceiling_wei` per gas is ever signed, however long a transaction waits.
    """

    min_tip_wei: Wei = LEAST_TIP_WEI
    max_tip_wei: Wei = MOST_TIP_WEI
    ceiling_wei: Wei = CEILING_WEI


def first_fees(policy: FeePolicy, base_fee_wei: int, suggested_tip_wei: int) -> Fees:
    """Survives a doubling of the base fee, which takes six full blocks."""
    tip = max(policy.min_tip_wei, min(suggested_tip_wei, policy.max_tip_wei))
    return _within(policy, 2 * base_fee_wei + tip, tip)


def bumped_fees(policy: FeePolicy, previous: Fees, base_fee_wei: int) -> Fees | None:
    """An eighth more on both, since nodes refuse replacements of less than a tenth.

    None when the ceiling does not leave room for that.
    """
    tip = _an_eighth_more(previous.tip_wei)
    max_fee = max(_an_eighth_more(previous.max_fee_wei), 2 * base_fee_wei + tip)
    least = _an_eighth_more(previous.max_fee_wei)
    if least > policy.ceiling_wei or tip > policy.ceiling_wei:
        return None
    return Fees(max_fee_wei=Wei(min(max_fee, policy.ceiling_wei)), tip_wei=Wei(tip))


def _an_eighth_more(amount: int) -> int:
    return amount + -(-amount // 8)


def _within(policy: FeePolicy, max_fee: int, tip: int) -> Fees:
    capped = min(max_fee, policy.ceiling_wei)
    return Fees(max_fee_wei=Wei(capped), tip_wei=Wei(min(tip, capped)))
