"""Escrow and price: rounded up for the lock, never more than the lock for the price."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.escrow import (
    escrow_of_share,
    price_of_usage,
    smallest_share,
    uncapped_price_gwei,
)
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.units import gwei
from tests.support import vectors

CASES = vectors.load("escrow")["cases"]
TERMS = st.builds(
    Terms,
    input_price_gwei=st.integers(0, 2**40 - 1),
    output_price_gwei=st.integers(0, 2**40 - 1),
    flat_fee_gwei=st.integers(0, 2**48 - 1),
    max_fee_gwei=st.integers(1, 2**48 - 1),
    lease_s=st.just(120),
    open_s=st.just(300),
    max_input_tokens=st.just(4096),
    max_output_tokens=st.just(2048),
)
USAGES = st.builds(Usage, st.integers(0, 2**20), st.integers(0, 2**20))


@pytest.mark.parametrize("case", CASES)
def test_escrow__vector__matches(case):
    terms = Terms(**case["terms"])
    usage = Usage(case["input_tokens"], case["output_tokens"])
    escrow = int(case["escrow_wei"])
    assert smallest_share(terms, usage) == case["smallest_share"]
    assert escrow_of_share(terms, case["smallest_share"]) == escrow
    assert escrow_of_share(terms, 0) == int(case["escrow_wei_share_0"])
    assert escrow_of_share(terms, 255) == int(case["escrow_wei_share_255"])
    assert price_of_usage(terms, usage, escrow) == int(case["price_wei"])
    assert price_of_usage(terms, None, escrow) == int(case["flat_price_wei"])


@given(TERMS, USAGES)
def test_smallest_share__any_usage__covers_it_and_one_less_does_not(terms, usage):
    share = smallest_share(terms, usage)
    wanted = gwei(min(uncapped_price_gwei(terms, usage), terms.max_fee_gwei))
    assert escrow_of_share(terms, share) >= wanted
    assert share == 0 or escrow_of_share(terms, share - 1) < wanted


@given(TERMS)
def test_escrow_of_share__whole_share__is_the_ceiling(terms):
    assert escrow_of_share(terms, 255) == gwei(terms.max_fee_gwei)


@given(TERMS, USAGES, st.integers(0, 255))
def test_price_of_usage__any_escrow__is_never_dearer(terms, usage, share):
    escrow = escrow_of_share(terms, share)
    assert 0 <= price_of_usage(terms, usage, escrow) <= escrow


@pytest.mark.parametrize("share", [-1, 256])
def test_escrow_of_share__share_outside_its_byte__is_refused(share):
    with pytest.raises(ValueError, match="is not within"):
        escrow_of_share(Terms(**CASES[0]["terms"]), share)
