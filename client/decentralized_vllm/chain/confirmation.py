"""What to do next about a transaction that is not mined yet: a pure decision."""

from dataclasses import dataclass
from enum import Enum, auto

from decentralized_vllm.chain.outgoing import Outgoing

MOST_DOUBLINGS = 12  # days


class Step(Enum):
    WAIT = auto()
    LOOK = auto()  # its nonce is used: by which of the attempts?
    RESEND = auto()  # the same bytes, for nodes that dropped or never saw them
    BUMP = auto()  # the same nonce for a higher fee
    CANCEL = auto()  # the same nonce for nothing: its effect would come too late


@dataclass(frozen=True, slots=True)
class Patience:
    """Blocks or seconds, whichever pass first; seconds matter where no blocks come: each bump
    doubles them, since no fee moves a chain that stands still, and the last one may be paid.

    A fee that is known to be too low is raised with the next block, or after `retry_s`.
    """

    retry_s: float = 1.0
    resend_blocks: int = 2
    resend_s: float = 30.0
    bump_blocks: int = 3
    bump_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Sent:
    """When a transaction was last offered, and whether a node called its fee too low."""

    at_block: int
    at_s: float
    is_underpriced: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """The chain as one answer showed it. `nonce` counts the sender's mined transactions."""

    block_number: int
    block_time_s: int
    base_fee_wei: int
    tip_wei: int
    nonce: int
    pending_nonce: int
    seen_at_s: float


def next_step(
    outgoing: Outgoing, sent: Sent | None, view: View, patience: Patience, *, is_next: bool
) -> Step:
    """`is_next`: it has the lowest unmined nonce, so all others wait for it.

    `sent` is None when this process has not offered it yet: after a restart that comes first.
    """
    if outgoing.nonce < view.nonce:
        return Step.LOOK
    if _is_late(outgoing, view) and not outgoing.latest.is_cancellation:
        return Step.CANCEL
    if sent is None:
        return Step.RESEND
    blocks = view.block_number - sent.at_block
    seconds = view.seen_at_s - sent.at_s
    is_stalled = blocks >= patience.bump_blocks or seconds >= _bump_s(outgoing, patience)
    is_short = sent.is_underpriced or outgoing.latest.fees.max_fee_wei < view.base_fee_wei
    is_new_chance = blocks >= 1 or seconds >= patience.retry_s
    if (is_short and is_new_chance) or (is_next and is_stalled):
        return Step.BUMP
    if blocks >= patience.resend_blocks or seconds >= patience.resend_s:
        return Step.RESEND
    return Step.WAIT


def _is_late(outgoing: Outgoing, view: View) -> bool:
    return outgoing.deadline_s is not None and view.block_time_s > outgoing.deadline_s


def _bump_s(outgoing: Outgoing, patience: Patience) -> float:
    n_bumps = len(outgoing.attempts) - 1
    return patience.bump_s * 2.0 ** min(n_bumps, MOST_DOUBLINGS)
