"""Gives the accounts of a local network their money; what they have already counts."""

from decimal import Decimal

from decentralized_vllm import AsyncClient
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens


async def fill_wallet(client: AsyncClient, least_wei: Wei) -> None:
    """Draws from the faucet what the client's wallet lacks."""
    missing_wei = least_wei - (await client.balance()).wallet_wei
    if missing_wei > 0:
        await client.draw_test_tokens(_tokens(missing_wei))


async def fill_credit(client: AsyncClient, least_wei: Wei) -> None:
    """Deposits what the client's credit lacks, from the wallet."""
    missing_wei = least_wei - (await client.balance()).credit_wei
    if missing_wei > 0:
        await client.deposit(_tokens(missing_wei))


def _tokens(amount_wei: int) -> Decimal:
    return Decimal(format_tokens(amount_wei))
