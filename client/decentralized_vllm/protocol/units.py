"""Wei, gwei and whole tokens. Everything inside is integers; text is for people only."""

from decimal import Context, Decimal, InvalidOperation

from decentralized_vllm.protocol.errors import InvalidAmount
from decentralized_vllm.protocol.ids import Wei

WEI_PER_GWEI = 10**9
WEI_PER_TOKEN = 10**18
MAX_DECIMALS = 18
_EXACT = Context(prec=64)  # the default one rounds to 28 digits


def gwei(amount_gwei: int) -> Wei:
    return Wei(amount_gwei * WEI_PER_GWEI)


def tokens(amount: int) -> Wei:
    return Wei(amount * WEI_PER_TOKEN)


def parse_tokens(text: str) -> Wei:
    """Reads a decimal amount of tokens, such as "1.5". Raises InvalidAmount; nothing is rounded."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise InvalidAmount(f"{text!r} is not a decimal amount of tokens") from None
    if not amount.is_finite() or amount < 0 or amount.adjusted() > 30:
        raise InvalidAmount(f"{text!r} is not a sensible amount of tokens")
    if -int(amount.as_tuple().exponent) > MAX_DECIMALS:
        raise InvalidAmount(f"{text!r} has more than {MAX_DECIMALS} decimals")
    return Wei(int(_EXACT.scaleb(amount, MAX_DECIMALS)))


def format_tokens(amount_wei: int) -> str:
    """Exact decimal text without an exponent and without trailing zeros."""
    whole, rest = divmod(abs(amount_wei), WEI_PER_TOKEN)
    sign = "-" if amount_wei < 0 else ""
    fraction = f"{rest:018d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
