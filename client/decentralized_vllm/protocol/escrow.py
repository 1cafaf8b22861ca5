"""What a job locks up and what it costs, rounded as the coordinator rounds.

Amounts of terms are gwei (1e-9 token) and so are escrow and price; wei at the boundary.
"""

from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.units import gwei

MAX_SHARE = 255


def escrow_of_share(terms: Terms, share: int) -> Wei:
    """ceil(maxFee · (share + 1) / 256)."""
    if not 0 <= share <= MAX_SHARE:
        raise ValueError(f"share {share} is not within 0..{MAX_SHARE}")
    return gwei(-(-terms.max_fee_gwei * (share + 1) // (MAX_SHARE + 1)))


def uncapped_price_gwei(terms: Terms, usage: Usage | None) -> int:
    """Flat part and usage, before the escrow caps it. No usage bills the flat part."""
    if usage is None:
        return terms.flat_fee_gwei
    return (
        terms.flat_fee_gwei
        + terms.input_price_gwei * usage.n_prompt_tokens
        + terms.output_price_gwei * usage.n_output_tokens
    )


def price_of_usage(terms: Terms, usage: Usage | None, escrow_wei: Wei) -> Wei:
    """What a delivery costs: never more than the escrow."""
    return min(gwei(uncapped_price_gwei(terms, usage)), escrow_wei)


def smallest_share(terms: Terms, most: Usage) -> int:
    """The share whose escrow covers `most`; the whole of maxFee where that costs more."""
    wanted_gwei = min(uncapped_price_gwei(terms, most), terms.max_fee_gwei)
    if wanted_gwei == 0:
        return 0
    # ceil(m·(s+1)/256) ≥ w  ⇔  m·(s+1) > 256·(w-1)
    return min(256 * (wanted_gwei - 1) // terms.max_fee_gwei, MAX_SHARE)
