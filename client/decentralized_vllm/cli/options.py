"""Options that commands share."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

devnet_option = click.option(
    "--devnet",
    is_flag=True,
    help="Use the local network that runs in ./.devnet, and its requester's key.",
)
_CONNECTION = (
    click.option("--config", metavar="FILE", help="Settings file instead of client.toml."),
    devnet_option,
    click.option("--eth-node-url", metavar="URL", help="RPC of the chain."),
    click.option("--contract-address", metavar="ADDRESS", help="The InferenceCoordinator."),
    click.option("--chain-id", type=int, help="Refuse any other chain."),
    click.option("--ipfs-host", metavar="HOST", help="Host of a Kubo-compatible API."),
    click.option("--ipfs-port", type=int, metavar="PORT", help="Its port (5001)."),
    click.option("--data-dir", metavar="FOLDER", help="Where outbox and own store are kept."),
)
_KEY = (
    click.option("--keystore", metavar="FILE", help="Your key, as `dvllm wallet new` wrote it."),
    click.option("--passphrase-file", metavar="FILE", help="Its passphrase; else a prompt asks."),
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object as the last line of the output."
)


class _Seconds(click.FloatRange):
    """NaN lies below no limit, but a wait for it has no order among other waits."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return seconds


timeout_option = click.option(
    "--timeout", type=_Seconds(min=0), metavar="SECONDS", help="Wait no longer than this."
)


def connection_options(command: F) -> F:
    """Adds where chain and content are; the command gets them as keywords."""
    return _apply(_CONNECTION, command)


def key_options(command: F) -> F:
    return _apply(_KEY, command)


def _apply(options: tuple[Callable[[F], F], ...], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command
