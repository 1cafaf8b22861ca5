"""The command `gateway`: a module for each command, and in it the command by the same name."""

from importlib import import_module

import click

COMMANDS = {
    "start": "Serve the network over HTTP until told to stop.",
    "doctor": "Check what a gateway needs, and say how to mend it.",
    "keys": "Make, list and revoke API keys.",
    "accounts": "Show accounts, and grant them credit.",
}


class LazyCommands(click.Group):
    """A command's module is imported when it is called, so that `gateway --help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"dvllm_gateway.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
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
