"""`dvllm models`: what is on offer."""

from typing import Any

import click

from decentralized_vllm.cli.options import connection_options, json_option


@click.command()
@click.option("--all", "show_all", is_flag=True, help="Also those that take no new jobs.")
@json_option
@connection_options
def models(show_all: bool, as_json: bool, **options: Any) -> None:
    """List the models on offer: id, name, and the CID that pins every byte."""
    from decentralized_vllm.cli.opening import opened
    from decentralized_vllm.cli.output import show
    from decentralized_vllm.cli.render import model_fields
    from decentralized_vllm.cli.running import run
    from decentralized_vllm.requester.tasks import Model

    async def work() -> list[Model]:
        async with opened(options, needs_key=False) as client:
            return await client.list_models(active_only=not show_all)

    found = run(work(), as_json=as_json)
    lines = [f"{model.id}: {model.name}  {model.cid}" for model in found]
    fields = {"models": [model_fields(model) for model in found]}
    show(fields, lines or ["no models on offer"], as_json=as_json)
