"""The command `dvllm-devnet`: names its commands, and imports the one that is called."""

import click

from decentralized_vllm.process.lazy_group import LazyGroup

_COMMANDS = "dvllm_devnet.commands"
SUBCOMMANDS = {
    "up": (f"{_COMMANDS}:up", "Start the network and keep it until Ctrl-C or SIGTERM."),
    "demo": (f"{_COMMANDS}:demo", "Show an answer, a takeover and a refund on its own network."),
}


@click.group(
    cls=LazyGroup,
    subcommands=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="decentralized-vllm-devnet", message="%(version)s")
def main() -> None:
    """A whole network of decentralized-vllm on this machine.

    \b
    dvllm-devnet up
    dvllm-devnet demo --prompt "Why is the sky blue?"
    """
