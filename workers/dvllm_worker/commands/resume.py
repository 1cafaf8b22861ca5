"""`worker resume`: duty again after a no-show."""

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.network import Network
from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import KeyInUse
from dvllm_worker.commands._orders import told_when_broken_off
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
        was_needed = await resumed(account, settings, network)
        return {"node": account.address, "resumed": was_needed}


async def resumed(account: LocalAccount, settings: WorkerSettings, network: Network) -> bool:
    """Whether that was needed. Raises what the sender raises, and NotAsked."""
    with told_when_broken_off():
        try:
            async with open_desk_of(account, settings, network) as desk:
                return await Duty(desk).resume()
        except KeyInUse:
            return await ask_to_resume(settings.http, account)
