"""`worker deregister`: leave all lists, then the registry."""

from decentralized_vllm.process.commands import Result
from dvllm_worker.commands._orders import done
from dvllm_worker.commands._shared import node_command
from dvllm_worker.office.orders import DeregisterOrder
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    told = (
        f"{result['node']} is no longer a node; its stake stays until `worker unstake` and "
        "`worker withdraw --stake`"
    )
    if not result["in_flight"]:
        return told
    return f"{told}\n  -> jobs in flight: {result['in_flight']}; stop the worker after these"


@node_command(
    name="deregister",
    say=_say,
    help_text="""Leave every version's list in bounded steps, then the registry.

    A worker that runs is asked to do it, and answers the jobs it holds: stop it when `worker
    status` tells of none in flight. Without it, a node with jobs in flight is refused. A broken
    call goes on where it stopped.

    \b
    Example:
      worker deregister
    """,
)
async def command(settings: WorkerSettings) -> Result:
    return await done(DeregisterOrder(), settings)
