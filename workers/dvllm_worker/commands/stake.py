"""`worker stake`: tokens that back the node's word."""

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.ids import Wei
from dvllm_worker.commands._orders import done
from dvllm_worker.commands._shared import TokenAmount, node_command
from dvllm_worker.office.orders import StakeOrder
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    return f"{result['node']} has {result['stake']} tokens at stake"


@click.argument("amount", type=TokenAmount())
@node_command(
    name="stake",
    say=_say,
    help_text="""Stake AMOUNT tokens from the wallet, in one transaction (by permit).

    A worker that runs is asked to do it. Odds of a lease follow stake. Join a version again after
    staking more: worker serve-model.

    \b
    Example:
      worker stake 1000
    """,
)
async def command(settings: WorkerSettings, amount: Wei) -> Result:
    return await done(StakeOrder(amount_wei=amount), settings)
