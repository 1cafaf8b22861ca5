"""`worker resume`: duty again after a no-show."""

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import KeyInUse
from dvllm_worker.commands._running import ask_to_resume
from dvllm_worker.commands._shared import node_command
from dvllm_worker.duty import Duty
from dvllm_worker.onchain import load_account, open_desk_of, open_network
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    return f"{result['node']} {'takes duty again' if result['resumed'] else 'is not suspended'}"


@node_command(
    name="resume",
    say=_say,
    help_text="""Take duty again after a no-show; a worker that runs is asked to do it.

    `worker start --resume` does both.

    \b
    Example:
      worker resume
    """,
)
async def command(settings: WorkerSettings) -> Result:
    async with open_network(settings) as network:
        account = load_account(settings, network.identity.chain_id)
        try:
            async with open_desk_of(account, settings, network) as desk:
                resumed = await Duty(desk).resume()
        except KeyInUse:
            resumed = await ask_to_resume(settings.http, account)
        return {"node": account.address, "resumed": resumed}
