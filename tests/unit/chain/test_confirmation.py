"""What is done about an unmined transaction, as a table of states and looks at the chain."""

import pytest

from decentralized_vllm.chain.confirmation import Patience, Sent, Step, View, next_step
from decentralized_vllm.chain.fees import Fees
from decentralized_vllm.chain.nonces import missing_nonces, next_nonce
from decentralized_vllm.chain.outgoing import Attempt, Outgoing, State
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, TxHash, Wei
from decentralized_vllm.protocol.transactions import Call

PATIENCE = Patience(retry_s=1, resend_blocks=2, resend_s=30, bump_blocks=3, bump_s=60)


def outgoing(
    *, nonce: int = 7, deadline_s: int | None = None, max_fee: int = 100, cancels: bool = False
) -> Outgoing:
    attempt = Attempt(TxHash("0x1"), b"raw", nonce, Fees(Wei(max_fee), Wei(1)), cancels)
    return Outgoing(
        id=1,
        key="key",
        call=Call(ZERO_ADDRESS, b"data", "call"),
        deadline_s=deadline_s,
        state=State.PENDING,
        nonce=nonce,
        gas_limit=21_000,
        attempts=(attempt,),
    )


def view(
    *, block: int = 50, at_s: float = 500, nonce: int = 7, base_fee: int = 50, time_s: int = 9_000
) -> View:
    return View(block, time_s, base_fee, 1, nonce, nonce, at_s)


JUST_SENT = Sent(at_block=50, at_s=500)


@pytest.mark.parametrize(
    ("tx", "sent", "look", "is_next", "step"),
    [
        (outgoing(), JUST_SENT, view(), True, Step.WAIT),
        (outgoing(), None, view(), True, Step.RESEND),
        (outgoing(), JUST_SENT, view(nonce=8), True, Step.LOOK),
        (outgoing(), None, view(nonce=8), True, Step.LOOK),
        (outgoing(), JUST_SENT, view(block=52), True, Step.RESEND),
        (outgoing(), JUST_SENT, view(block=53), True, Step.BUMP),
        (outgoing(), JUST_SENT, view(block=53), False, Step.RESEND),
        (outgoing(), JUST_SENT, view(at_s=531), True, Step.RESEND),
        (outgoing(), JUST_SENT, view(at_s=561), True, Step.BUMP),
        (outgoing(), JUST_SENT, view(base_fee=101), False, Step.WAIT),
        (outgoing(), JUST_SENT, view(base_fee=101, block=51), False, Step.BUMP),
        (outgoing(), JUST_SENT, view(base_fee=101, at_s=502), False, Step.BUMP),
        (outgoing(), Sent(50, 500, True), view(), True, Step.WAIT),
        (outgoing(), Sent(50, 500, True), view(block=51), False, Step.BUMP),
        (outgoing(deadline_s=8_999), JUST_SENT, view(), True, Step.CANCEL),
        (outgoing(deadline_s=8_999), None, view(), True, Step.CANCEL),
        (outgoing(deadline_s=8_999), JUST_SENT, view(nonce=8), True, Step.LOOK),
        (outgoing(deadline_s=9_000), JUST_SENT, view(), True, Step.WAIT),
        (outgoing(deadline_s=8_999, cancels=True), JUST_SENT, view(), True, Step.WAIT),
        (outgoing(deadline_s=8_999, cancels=True), JUST_SENT, view(block=53), True, Step.BUMP),
    ],
)
def test_next_step__state_and_look__step(
    tx: Outgoing, sent: Sent | None, look: View, is_next: bool, step: Step
) -> None:
    assert next_step(tx, sent, look, PATIENCE, is_next=is_next) is step


def test_next_step__no_block_for_an_hour__few_bumps() -> None:
    """No fee is high enough for a chain that stands still, and the last one is paid."""
    tx, sent, n_bumps = outgoing(), JUST_SENT, 0
    for second in range(3600):
        look = view(at_s=JUST_SENT.at_s + second)
        if next_step(tx, sent, look, PATIENCE, is_next=True) is Step.BUMP:
            tx, n_bumps = tx.with_attempt(tx.latest), n_bumps + 1
            sent = Sent(at_block=look.block_number, at_s=look.seen_at_s)
    assert 1 <= n_bumps <= 6


@pytest.mark.parametrize(
    ("chain", "pending", "own", "expected"),
    [
        (0, 0, -1, 0),
        (5, 5, -1, 5),
        (5, 7, -1, 7),  # a foreign transaction waits
        (5, 5, 9, 10),  # our own wait, and the endpoint does not know them
        (3, 3, 9, 10),  # the endpoint lags
        (12, 12, 9, 12),  # a foreign wallet was faster
    ],
)
def test_next_nonce__what_is_known__one_above(
    chain: int, pending: int, own: int, expected: int
) -> None:
    assert next_nonce(chain, pending, own) == expected


@pytest.mark.parametrize(
    ("chain", "pending", "unmined", "expected"),
    [
        (5, 5, set(), []),
        (5, 5, {5, 6}, []),
        (5, 5, {6, 7}, [5]),
        (5, 6, {6, 7}, []),  # a foreign transaction waits there
        (5, 6, {5, 7}, [6]),
        (5, 5, {5, 8}, [6, 7]),
        (9, 9, {5, 6}, []),
    ],
)
def test_missing_nonces__gaps_below_ours__listed(
    chain: int, pending: int, unmined: set[int], expected: list[int]
) -> None:
    assert missing_nonces(chain, pending, unmined) == expected
