"""The command `worker`: names its commands, and imports the one that is called."""

import json
from typing import Any

import click

from decentralized_vllm.process.lazy_group import LazyGroup

_COMMANDS = "dvllm_worker.commands"
SUBCOMMANDS = {
    "doctor": (f"{_COMMANDS}.doctor:command", "Check what a node needs, and say how to mend it."),
    "register": (f"{_COMMANDS}.register:command", "Tell the network who this node is."),
    "stake": (f"{_COMMANDS}.stake:command", "Back the node's word with tokens."),
    "serve-model": (f"{_COMMANDS}.serve_model:command", "Fetch a model and join its list."),
    "start": (f"{_COMMANDS}.start:command", "Answer jobs until told to stop."),
    "status": (f"{_COMMANDS}.status:command", "Show stake, duty, earnings and the running worker."),
    "jobs": (f"{_COMMANDS}.jobs:command", "Show the last jobs of this node."),
    "withdraw": (
        f"{_COMMANDS}.withdraw:command",
        "Move earnings, or cooled-down stake, to the wallet.",
    ),
    "resume": (f"{_COMMANDS}.resume:command", "Take duty again after a no-show."),
    "unstake": (f"{_COMMANDS}.unstake:command", "Start the cool-down of free stake."),
    "deregister": (f"{_COMMANDS}.deregister:command", "Leave all lists and the registry."),
}


_WANTS_JSON = f"{__name__}.wants_json"


class JsonUsageGroup(LazyGroup):
    """A call that no command understands is told as JSON, too, as commands tell their errors."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WANTS_JSON] = "--json" in args  # which nobody has read when reading fails
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if ctx.meta[_WANTS_JSON]:
                told = {"error": "UsageError", "message": error.format_message(), "hint": None}
                click.echo(json.dumps(told))
            raise


@click.group(
    cls=JsonUsageGroup,
    subcommands=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
