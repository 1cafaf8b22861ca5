"""The command `gateway`: names its commands, and imports the one that is called."""

import click

from decentralized_vllm.process.lazy_group import LazyGroup

_COMMANDS = "dvllm_gateway.commands"
SUBCOMMANDS = {
    "start": (f"{_COMMANDS}.start:start", "Serve the network over HTTP until told to stop."),
    "doctor": (f"{_COMMANDS}.doctor:doctor", "Check what a gateway needs, and say how to mend it."),
    "keys": (f"{_COMMANDS}.keys:keys", "Make, list and revoke API keys."),
    "accounts": (f"{_COMMANDS}.accounts:accounts", "Show accounts, and grant them credit."),
}


@click.group(
    cls=LazyGroup,
    subcommands=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="decentralized-vllm-gateway", message="%(version)s")
def main() -> None:
    """Serve the network over HTTP: the documented API, and OpenAI's /v1.

    \b
    The way in:
      gateway doctor                              what is missing on this machine
      gateway accounts grant alice 100 --reason … credit to spend
      gateway keys create --account alice         an API key for it
      gateway start                               serve
    """
