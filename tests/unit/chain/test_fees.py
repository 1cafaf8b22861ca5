"""First offers and bumps: enough for nodes to accept, never above the ceiling."""

from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.chain.fees import FeePolicy, Fees, bumped_fees, first_fees
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import gwei

POLICY = FeePolicy(min_tip_wei=gwei(1), max_tip_wei=gwei(10), ceiling_wei=gwei(100))


def test_first_fees__suggested_tip__kept_within_bounds() -> None:
    tips = [first_fees(POLICY, gwei(5), gwei(tip)).tip_wei for tip in (0, 3, 1_000)]
    assert tips == [gwei(1), gwei(3), gwei(10)]


def test_first_fees__base_fee__survives_its_doubling() -> None:
    assert first_fees(POLICY, gwei(5), gwei(2)).max_fee_wei == gwei(12)


def test_first_fees__base_fee_beyond_the_ceiling__ceiling() -> None:
    fees = first_fees(POLICY, gwei(90), gwei(2))
    assert fees == Fees(max_fee_wei=gwei(100), tip_wei=gwei(2))


def test_bumped_fees__base_fee_rose__follows_it() -> None:
    bumped = bumped_fees(POLICY, Fees(gwei(12), gwei(2)), gwei(30))
    assert bumped is not None
    assert bumped.max_fee_wei > gwei(60)


def test_bumped_fees__no_room_below_the_ceiling__none() -> None:
    assert bumped_fees(POLICY, Fees(gwei(90), gwei(2)), gwei(1)) is None


@given(
    max_fee=st.integers(1, 10**12),
    tip_part=st.floats(0, 1),
    base_fee=st.integers(0, 10**12),
)
def test_bumped_fees__any_offer__an_eighth_more_or_nothing(
    max_fee: int, tip_part: float, base_fee: int
) -> None:
    tip = int(max_fee * tip_part)
    bumped = bumped_fees(POLICY, Fees(Wei(max_fee), Wei(tip)), base_fee)
    if bumped is None:
        assert max_fee * 9 / 8 > POLICY.ceiling_wei - 1
        return
    assert bumped.max_fee_wei * 8 >= max_fee * 9
    assert bumped.tip_wei * 8 >= tip * 9
    assert bumped.tip_wei <= bumped.max_fee_wei <= POLICY.ceiling_wei
