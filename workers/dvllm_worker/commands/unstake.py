"""`worker unstake`: starts the cool-down of free stake."""

import datetime

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.commands._shared import TokenAmount, node_command
from dvllm_worker.onchain import open_desk
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    until = datetime.datetime.fromtimestamp(result["cooling_until_s"], datetime.UTC)
    return (
        f"{result['cooling']} tokens cool down until {until:%Y-%m-%d %H:%M:%S} UTC; "
        "then run `worker withdraw --stake`"
    )


@click.argument("amount", type=TokenAmount())
@node_command(
    name="unstake",
    say=_say,
    help_text="""Start the cool-down of AMOUNT tokens of free stake.

    A second request adds to the first and starts the clock again.

    \b
    Example:
      worker unstake 500
    """,
)
async def command(settings: WorkerSettings, amount: Wei) -> Result:
    async with open_desk(settings) as desk:
        receipt = await desk.do(desk.network.node_calls.request_unstake(amount))
        node = await desk.node()
        return {
            "node": desk.address,
            "stake_wei": node.stake_wei,
            "cooling": format_tokens(node.cooling_wei),
            "cooling_until_s": node.cooling_until_s,
            "tx_hash": receipt.tx_hash,
        }
