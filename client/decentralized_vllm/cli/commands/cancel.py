"""`dvllm cancel`: take a job back."""

from typing import Any

import click

from decentralized_vllm.cli.options import connection_options, json_option, key_options


@click.command()
@click.argument("job_id", type=click.IntRange(min=1))
@json_option
@key_options
@connection_options
def cancel(job_id: int, as_json: bool, **options: Any) -> None:
    """Take back a job for a full refund. Only while no node holds it: a lease runs to its end."""
    from decentralized_vllm.cli.opening import opened
    from decentralized_vllm.cli.output import show
    from decentralized_vllm.cli.render import task_fields, task_lines
    from decentralized_vllm.cli.running import run
    from decentralized_vllm.requester.tasks import Task

    async def work() -> Task:
        async with opened(options) as client:
            return await client.cancel_task(job_id)

    task = run(work(), as_json=as_json)
    show(task_fields(task), task_lines(task), as_json=as_json)
