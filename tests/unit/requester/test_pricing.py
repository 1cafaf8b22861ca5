"""What a task may cost is settled before anything is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.errors import CeilingTooLow, InsufficientFunds, InvalidPrompt
from decentralized_vllm.protocol.escrow import uncapped_price_gwei
from decentralized_vllm.protocol.generation import SamplingParameters, Usage
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.prompts import chat_prompt
from decentralized_vllm.protocol.units import gwei, tokens
from decentralized_vllm.requester.pricing import Offer, make_offer, top_up

TERMS = Terms(
    input_price_gwei=10**5,
    output_price_gwei=10**6,
    flat_fee_gwei=10**7,
    max_fee_gwei=10**10,
    lease_s=120,
    open_s=300,
    max_input_tokens=4_096,
    max_output_tokens=2_048,
)


def question(text="Hi", max_tokens=100):
    return chat_prompt(text, SamplingParameters(max_tokens=max_tokens))


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.integers(1, 2_048))
def test_make_offer__any_prompt__covers_what_a_node_may_bill(text, max_tokens):
    offer = make_offer(TERMS, question(text, max_tokens), None)
    n_input = min(len(text.encode()), TERMS.max_input_tokens)
    bill = uncapped_price_gwei(TERMS, Usage(n_input, max_tokens))
    assert offer.escrow_wei >= gwei(min(bill, TERMS.max_fee_gwei))
    assert offer.escrow_wei <= offer.ceiling_wei == tokens(10)


def test_make_offer__short_prompt__escrows_a_small_part_of_the_ceiling():
    assert make_offer(TERMS, question(), None).escrow_wei < tokens(1)


def test_make_offer__ceiling_of_the_caller__is_stated():
    assert make_offer(TERMS, question(), tokens(12)).ceiling_wei == tokens(12)


def test_make_offer__dearer_than_the_caller_accepts__is_refused():
    with pytest.raises(CeilingTooLow, match="up to 10 tokens, accepted are 9"):
        make_offer(TERMS, question(), tokens(9))


def test_make_offer__more_tokens_than_served__is_refused():
    with pytest.raises(InvalidPrompt, match="2049 is more than the 2048"):
        make_offer(TERMS, question(max_tokens=2_049), None)


def needed(credit, wallet, most):
    offer = Offer(tokens(10), 255, tokens(4))
    return top_up(
        offer,
        credit_wei=Wei(tokens(credit)),
        wallet_wei=Wei(tokens(wallet)),
        max_top_up_wei=Wei(tokens(most)),
    )


@pytest.mark.parametrize(
    ("credit", "wallet", "most", "expected"),
    [(4, 0, 0, 0), (9, 0, 0, 0), (1, 3, 3, 3), (0, 9, 9, 4)],
)
def test_top_up__enough_somewhere__is_what_is_missing(credit, wallet, most, expected):
    assert needed(credit, wallet, most) == tokens(expected)


@pytest.mark.parametrize(
    ("credit", "wallet", "most", "told"),
    [(0, 9, 3, "max_top_up: 4 tokens are missing"), (1, 2, 9, "the wallet holds 2")],
)
def test_top_up__not_enough__says_what_is_missing(credit, wallet, most, told):
    with pytest.raises(InsufficientFunds, match=told):
        needed(credit, wallet, most)
