"""`worker resume`: duty again after a no-show."""

from decentralized_vllm.process.commands import Result
from dvllm_worker.commands._shared import node_command
from dvllm_worker.duty import Duty
from dvllm_worker.onchain import open_desk
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    return f"{result['node']} {'takes duty again' if result['resumed'] else 'was on duty already'}"


@node_command(
    name="resume",
    say=_say,
    help_text="""Take duty again after a no-show. `worker start --resume` does both.

    \b
    Example:
      worker resume
    """,
)
async def command(settings: WorkerSettings) -> Result:
    async with open_desk(settings) as desk:
        return {"node": desk.address, "resumed": await Duty(desk).resume()}
