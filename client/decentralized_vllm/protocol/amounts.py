"""Amounts of tokens as callers write them: "0.5", 2 or Decimal("0.5") whole tokens."""

from decimal import Decimal

from decentralized_vllm.protocol.errors import InvalidAmount, SettingError
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import parse_tokens

TokenAmount = str | int | Decimal


def wei_of(amount: TokenAmount, setting: str) -> Wei:
    """Raises SettingError naming `setting`. Floats are refused: 0.1 is not a tenth."""
    if isinstance(amount, bool) or not isinstance(amount, (str, int, Decimal)):
        raise SettingError(setting, f"{amount!r} is not text, an int or a Decimal")
    try:
        return parse_tokens(str(amount))
    except InvalidAmount as error:
        raise SettingError(setting, error.message) from error
