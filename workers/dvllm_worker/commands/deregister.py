"""`worker deregister`: leave all lists, then the registry."""

from decentralized_vllm.process.commands import Result
from dvllm_worker.commands._shared import node_command
from dvllm_worker.duty import Duty
from dvllm_worker.onchain import open_desk
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    return (
        f"{result['node']} is no longer a node; its stake stays until `worker unstake` and "
        "`worker withdraw --stake`"
    )


@node_command(
    name="deregister",
    say=_say,
    help_text="""Leave every version's list in bounded steps, then the registry.

    Jobs in flight and the stake behind them stay. A broken call goes on where it stopped.

    \b
    Example:
      worker deregister
    """,
)
async def command(settings: WorkerSettings) -> Result:
    async with open_desk(settings) as desk:
        duty = Duty(desk)
        for model in await duty.served_models():
            await duty.leave(model.version)
        receipt = await desk.do(desk.network.node_registry.deregister_node())
        return {"node": desk.address, "tx_hash": receipt.tx_hash}
