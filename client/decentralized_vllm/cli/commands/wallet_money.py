"""`dvllm wallet balance | deposit | withdraw | send | faucet`: the money behind the key."""

from typing import Any

import click

from decentralized_vllm.cli.options import connection_options, json_option, key_options


@click.command()
@json_option
@key_options
@connection_options
def balance(as_json: bool, **options: Any) -> None:
    """Show your credit with the coordinator, the wallet's tokens, and the coin for gas."""
    from decentralized_vllm.cli.money import show_balance

    show_balance(options, as_json=as_json)


@click.command()
@click.argument("amount")
@json_option
@key_options
@connection_options
def deposit(amount: str, as_json: bool, **options: Any) -> None:
    """Move AMOUNT tokens from the wallet into credit."""
    from decentralized_vllm.cli.money import move

    move("deposit", amount, options, as_json=as_json)


@click.command()
@click.argument("amount")
@json_option
@key_options
@connection_options
def withdraw(amount: str, as_json: bool, **options: Any) -> None:
    """Move AMOUNT tokens from credit into the wallet."""
    from decentralized_vllm.cli.money import move

    move("withdraw", amount, options, as_json=as_json)


@click.command(
    epilog="""\b
    Examples:
      dvllm wallet send 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 25
      dvllm wallet send 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 0.5 --yes --json
    """
)
@click.argument("to")
@click.argument("amount")
@click.option("--yes", "is_sure", is_flag=True, help="Ask nothing, also on a terminal.")
@json_option
@key_options
@connection_options
def send(to: str, amount: str, is_sure: bool, as_json: bool, **options: Any) -> None:
    """Send AMOUNT tokens from the wallet to the wallet of the address TO.

    What is in credit is withdrawn first, with `dvllm wallet withdraw`. Nobody can take it back.
    """
    from decentralized_vllm.cli.money import send_tokens

    send_tokens(to, amount, options, is_sure=is_sure, as_json=as_json)


@click.command()
@click.argument("amount", default="100")
@json_option
@key_options
@connection_options
def faucet(amount: str, as_json: bool, **options: Any) -> None:
    """Draw AMOUNT test tokens (100 if none is given). Only local chains have a faucet."""
    from decentralized_vllm.cli.money import move

    move("faucet", amount, options, as_json=as_json)
