"""`worker serve-model`: fetch a model's bytes, check them, and join its version's list."""

import click

from decentralized_vllm.process.commands import Result
from dvllm_worker.commands._orders import done
from dvllm_worker.commands._shared import node_command
from dvllm_worker.office.orders import ServeModelOrder
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    if not result["is_served"]:
        return f"{result['node']} no longer serves {result['model_id']}"
    told = (
        f"{result['node']} serves {result['model_id']} (version {result['version']}), "
        f"bytes in {result['path']}"
    )
    return told if result["is_running"] else f"{told}\n  -> run `worker start` now"


@click.argument("model_id")
@click.option("--leave", is_flag=True, help="Stop serving it instead.")
@node_command(
    name="serve-model",
    say=_say,
    help_text="""Fetch MODEL_ID, check every byte, and join the list that leases are drawn from.

    A broken call goes on where it stopped. Call it again after staking more.

    A worker that runs is asked to do it. It joins models that it has an engine for, so a further
    model needs it stopped. One that it leaves it serves until the last lease is answered.

    \b
    Examples:
      worker serve-model smollm2-135m-instruct
      worker serve-model smollm2-135m-instruct --leave
    """,
)
async def command(settings: WorkerSettings, model_id: str, leave: bool) -> Result:
    return await done(ServeModelOrder(model_id=model_id, leave=leave), settings)
