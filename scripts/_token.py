"""A payment token that is there already: the market counts in 18 decimals, whatever it says."""

import click
from ape import networks, project
from ape.exceptions import ApeException
from eth_utils import is_address

DECIMALS = 18


def require_token(address: str) -> None:
    """Before the first transaction. Raises UsageError if it is no token that can pay for jobs."""
    if not is_address(address) or not networks.provider.get_code(address):
        raise click.UsageError(f"--token: there is no contract at {address}")
    try:
        decimals = project.NetworkToken.at(address).decimals()
    except ApeException as error:
        raise click.UsageError(f"--token: {address} does not tell its decimals") from error
    if decimals != DECIMALS:
        raise click.UsageError(
            f"--token: {address} has {decimals} decimals; stakes and prices count in {DECIMALS}"
        )
