"""`dvllm jobs`: this account's jobs."""

from typing import Any

import click

from decentralized_vllm.cli.options import connection_options, json_option, key_options


@click.command()
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
@key_options
@connection_options
def jobs(limit: int, as_json: bool, **options: Any) -> None:
    """List your latest jobs, newest first. The price is the escrow until a job is over."""
    from decentralized_vllm.cli.opening import opened
    from decentralized_vllm.cli.output import show
    from decentralized_vllm.cli.render import task_fields, task_row
    from decentralized_vllm.cli.running import run
    from decentralized_vllm.requester.tasks import Task

    async def work() -> list[Task]:
        async with opened(options) as client:
            return await client.tasks(limit)

    tasks = run(work(), as_json=as_json)
    fields = {"jobs": [task_fields(task) for task in tasks]}
    show(fields, [task_row(task) for task in tasks] or ["no jobs yet"], as_json=as_json)
