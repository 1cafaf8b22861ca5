"""The command `dvllm` itself: names its subcommands, and imports the one that is called."""

import click

from decentralized_vllm.cli.json_errors import JsonErrorsGroup

_COMMANDS = "decentralized_vllm.cli.commands"
SUBCOMMANDS = {
    "submit": (f"{_COMMANDS}.submit:submit", "Ask a model, and wait for the answer if told to."),
    "embed": (f"{_COMMANDS}.embed:embed", "Get vectors of texts."),
    "job": (f"{_COMMANDS}.job:job", "Show a job, with its answer."),
    "jobs": (f"{_COMMANDS}.jobs:jobs", "List your latest jobs."),
    "cancel": (f"{_COMMANDS}.cancel:cancel", "Take back a job that no node holds."),
    "models": (f"{_COMMANDS}.models:models", "List the models on offer."),
    "upload-model": (f"{_COMMANDS}.upload_model:upload_model", "Publish a model directory."),
    "nodes": (f"{_COMMANDS}.nodes:nodes", "List the nodes that are registered."),
    "wallet": (f"{_COMMANDS}.wallet:wallet", "Your key, and the money behind it."),
    "content": ("decentralized_vllm.content.cli:content", "Add, read, pin and serve content."),
}


@click.group(
    cls=JsonErrorsGroup,
    subcommands=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="decentralized-vllm-client", message="%(version)s")
def main() -> None:
    """LLM inference bought on-chain: ask, pay, get a verified answer or the money back.

    \b
    dvllm submit --wait "What is artificial intelligence?"
    dvllm models
    dvllm wallet balance

    Settings come from flags, then DVLLM_CLIENT__… variables, then client.toml.
    """
