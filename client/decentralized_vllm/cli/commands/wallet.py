"""`dvllm wallet`: keys and money."""

import click

from decentralized_vllm.process.lazy_group import LazyGroup

_KEYS = "decentralized_vllm.cli.commands.wallet_keys"
_MONEY = "decentralized_vllm.cli.commands.wallet_money"


@click.group(
    cls=LazyGroup,
    subcommands={
        "new": (f"{_KEYS}:new", "Make a key."),
        "import": (f"{_KEYS}:import_key", "Put an existing key into a keystore."),
        "show": (f"{_KEYS}:show", "Show the address of your key."),
        "balance": (f"{_MONEY}:balance", "Show credit, wallet and gas money."),
        "deposit": (f"{_MONEY}:deposit", "Move tokens from the wallet into credit."),
        "withdraw": (f"{_MONEY}:withdraw", "Move tokens from credit into the wallet."),
        "send": (f"{_MONEY}:send", "Send tokens to another wallet."),
        "faucet": (f"{_MONEY}:faucet", "Draw test tokens, on a local chain."),
    },
)
def wallet() -> None:
    """Your key, kept in a keystore that a passphrase opens, and the money behind it.

    \b
    dvllm wallet new
    dvllm wallet deposit 25
    """
