"""`dvllm job`: one job."""

from typing import Any

import click

from decentralized_vllm.cli.options import (
    connection_options,
    json_option,
    key_options,
    timeout_option,
)


@click.command(
    epilog="""\b
    Examples:
      dvllm job 12
      dvllm job 12 --wait --timeout 300
    """
)
@click.argument("job_id", type=click.IntRange(min=1))
@click.option("--wait", is_flag=True, help="Wait for the job's end; needs your key.")
@timeout_option
@json_option
@key_options
@connection_options
def job(job_id: int, wait: bool, timeout: float | None, as_json: bool, **options: Any) -> None:
    """Show a job. Its answer, verified, goes to standard output."""
    from decentralized_vllm.cli.opening import opened
    from decentralized_vllm.cli.output import remark, show
    from decentralized_vllm.cli.render import answer_lines, task_fields, task_lines
    from decentralized_vllm.cli.running import run
    from decentralized_vllm.cli.waiting import wait_visibly
    from decentralized_vllm.requester.tasks import Task

    async def work() -> Task:
        async with opened(options, needs_key=wait) as client:
            if not wait:
                return await client.get_task(job_id)
            return await wait_visibly(client, job_id, timeout)

    task = run(work(), as_json=as_json, on_interrupt=f"job {job_id} goes on")
    show(task_fields(task), answer_lines(task), as_json=as_json)
    if not as_json:
        for line in task_lines(task):
            remark(line)
