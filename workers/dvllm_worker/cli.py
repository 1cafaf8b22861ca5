"""The command `worker`: one module per command, imported only when it is called."""

from importlib import import_module

import click

COMMANDS = {
    "doctor": "Check what a node needs, and say how to mend it.",
    "register": "Tell the network who this node is.",
    "stake": "Back the node's word with tokens.",
    "serve-model": "Fetch a model and join its list.",
    "start": "Answer jobs until told to stop.",
    "status": "Show stake, duty, earnings and the running worker.",
    "jobs": "Show the last jobs of this node.",
    "withdraw": "Move earnings, or cooled-down stake, to the wallet.",
    "resume": "Take duty again after a no-show.",
    "unstake": "Start the cool-down of free stake.",
    "deregister": "Leave all lists and the registry.",
}


class LazyCommands(click.Group):
    """A command's module is imported when it is called, so that `worker --help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"dvllm_worker.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="decentralized-vllm-worker", message="%(version)s")
def main() -> None:
    """Run a node of decentralized-vllm: serve a model, answer jobs, earn tokens.

    \b
    The way in:
      worker doctor                      what is missing on this machine
      worker register --endpoint URL     tell the network who you are
      worker stake 1000                  back your word
      worker serve-model MODEL_ID        fetch a model and join its list
      worker start                       answer jobs
    """
