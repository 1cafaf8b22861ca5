"""`dvllm nodes`: who answers."""

from typing import Any

import click

from decentralized_vllm.cli.options import connection_options, json_option


@click.command()
@json_option
@connection_options
def nodes(as_json: bool, **options: Any) -> None:
    """List the registered nodes, as their operators describe them."""
    from decentralized_vllm.cli.opening import opened
    from decentralized_vllm.cli.output import show
    from decentralized_vllm.cli.render import node_fields
    from decentralized_vllm.cli.running import run
    from decentralized_vllm.protocol.nodes import RegisteredNode

    async def work() -> list[RegisteredNode]:
        async with opened(options, needs_key=False) as client:
            return await client.list_nodes()

    found = run(work(), as_json=as_json)
    lines = [
        f"{node.operator}  {node.profile.slots:>3} slots  {node.profile.endpoint or '-'}"
        f"  {node.profile.region}".rstrip()
        for node in found
    ]
    fields = {"nodes": [node_fields(node) for node in found]}
    show(fields, lines or ["no nodes yet"], as_json=as_json)
