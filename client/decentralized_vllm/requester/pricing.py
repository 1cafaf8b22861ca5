"""What a task may cost: the ceiling that is stated, the escrow, and the tokens to bring along."""

from dataclasses import dataclass

from decentralized_vllm.protocol.errors import CeilingTooLow, InsufficientFunds, InvalidPrompt
from decentralized_vllm.protocol.escrow import escrow_of_share, smallest_share
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.prompts import PromptDocument
from decentralized_vllm.protocol.token_bounds import prompt_token_bound
from decentralized_vllm.protocol.units import format_tokens, gwei


@dataclass(frozen=True, slots=True)
class Offer:
    """What one submission states on chain. A version dearer than the ceiling reverts."""

    ceiling_wei: Wei
    share: int
    escrow_wei: Wei


def make_offer(terms: Terms, document: PromptDocument, max_fee_wei: Wei | None) -> Offer:
    """The smallest escrow that covers the prompt and its max_tokens.

    `max_fee_wei` is the highest maxFee the caller accepts; None accepts the one that `terms` show.
    Raises CeilingTooLow, and InvalidPrompt for more tokens than the model's nodes serve.
    """
    dearest_wei = gwei(terms.max_fee_gwei)
    if max_fee_wei is not None and dearest_wei > max_fee_wei:
        raise CeilingTooLow(
            f"max_fee: a job of this model costs up to {format_tokens(dearest_wei)} tokens, "
            f"accepted are {format_tokens(max_fee_wei)}"
        )
    max_tokens = document.parameters.max_tokens
    if max_tokens > terms.max_output_tokens:
        raise InvalidPrompt(
            f"max_tokens: {max_tokens} is more than the {terms.max_output_tokens} of this model"
        )
    n_input = min(prompt_token_bound(document), terms.max_input_tokens)
    share = smallest_share(terms, Usage(n_input, max_tokens))
    ceiling_wei = dearest_wei if max_fee_wei is None else max_fee_wei
    return Offer(ceiling_wei, share, escrow_of_share(terms, share))


def top_up(offer: Offer, *, credit_wei: Wei, wallet_wei: Wei, max_top_up_wei: Wei) -> Wei:
    """Tokens that must come from the wallet, 0 when the credit does. Raises InsufficientFunds."""
    short_wei = Wei(max(0, offer.escrow_wei - credit_wei))
    if short_wei > max_top_up_wei:
        raise InsufficientFunds(
            f"max_top_up: {format_tokens(short_wei)} tokens are missing, "
            f"at most {format_tokens(max_top_up_wei)} may be taken from the wallet",
            hint="raise max_top_up, or deposit first",
        )
    if short_wei > wallet_wei:
        raise InsufficientFunds(
            f"{format_tokens(short_wei)} tokens are missing, "
            f"the wallet holds {format_tokens(wallet_wei)}"
        )
    return short_wei
