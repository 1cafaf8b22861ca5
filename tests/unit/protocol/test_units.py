"""Amounts as people write them: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decentralized_vllm.protocol.amounts import wei_of
from decentralized_vllm.protocol.errors import InvalidAmount, SettingError
from decentralized_vllm.protocol.units import WEI_PER_TOKEN, format_tokens, parse_tokens


@given(st.integers(0, 10**30 * WEI_PER_TOKEN))
def test_format_tokens__any_amount__is_read_back_exactly(amount_wei: int) -> None:
    text = format_tokens(amount_wei)
    assert parse_tokens(text) == amount_wei
    assert "e" not in text.lower()
    assert format_tokens(-amount_wei) == (f"-{text}" if amount_wei else text)


@pytest.mark.parametrize(
    "text",
    ["", "two", "0x10", "NaN", "Infinity", "-1", "1e31", "0.0000000000000000001"],
)
def test_parse_tokens__no_amount__is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        parse_tokens(text)


@pytest.mark.parametrize("amount", ["2.5", " 2.50 ", Decimal("2.5"), "25e-1"])
def test_wei_of__same_amount_in_any_form__is_the_same(amount: str | Decimal) -> None:
    assert wei_of(amount, "fee") == 5 * WEI_PER_TOKEN // 2


@pytest.mark.parametrize("amount", [0.1, True, None, "much"])
def test_wei_of__inexact_or_no_amount__refused_with_the_setting(amount: object) -> None:
    with pytest.raises(SettingError) as refusal:
        wei_of(amount, "max_fee")  # type: ignore[arg-type]
    assert refusal.value.setting == "max_fee"
