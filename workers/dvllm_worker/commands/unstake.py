"""`worker unstake`: starts the cool-down of free stake."""

import datetime

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.ids import Wei
from dvllm_worker.commands._orders import done
from dvllm_worker.commands._shared import TokenAmount, node_command
from dvllm_worker.office.orders import UnstakeOrder
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

    A second request adds to the first and starts the clock again. A worker that runs is asked to
    do it.

    \b
    Example:
      worker unstake 500
    """,
)
async def command(settings: WorkerSettings, amount: Wei) -> Result:
    return await done(UnstakeOrder(amount_wei=amount), settings)
