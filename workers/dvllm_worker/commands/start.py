"""`worker start`: run the node until it is told to stop."""

from typing import Any

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.process.stopping import StopSignals
from dvllm_worker.app import run_worker
from dvllm_worker.commands._shared import node_command
from dvllm_worker.settings import WorkerSettings


def _say(_: Result) -> str:
    return "stopped"


@click.option("--resume", is_flag=True, help="Take duty again first, after a no-show.")
@node_command(
    name="start",
    say=_say,
    help_text="""Answer jobs until Ctrl-C or SIGTERM.

    The first signal lets leases finish or hands them back, the second ends at once. A worker that
    was killed goes on where it was: its journal knows every job it holds.

    \b
    Examples:
      worker start
      DVLLM_WORKER__LOG_FORMAT=json worker start --config /etc/dvllm/worker.toml
    """,
)
async def command(settings: WorkerSettings, **options: Any) -> Result:
    if options["resume"]:
        node = settings.node.model_copy(update={"resume_on_start": True})
        settings = settings.model_copy(update={"node": node})
    await run_worker(settings, StopSignals())
    return {"stopped": True}
