"""`worker withdraw`: matured earnings, or stake whose cool-down is over, to the wallet."""

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.ids import Wei
from dvllm_worker.commands._orders import done
from dvllm_worker.commands._shared import TokenAmount, node_command
from dvllm_worker.office.orders import WithdrawOrder
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    return f"{result['amount']} tokens are in the wallet of {result['node']} now"


@click.argument("amount", type=TokenAmount(), required=False)
@click.option("--stake", "of_stake", is_flag=True, help="Stake whose cool-down is over.")
@node_command(
    name="withdraw",
    say=_say,
    help_text="""Mature earnings and move AMOUNT of the credit (all of it without) to the wallet.

    Earnings are final one to two dispute windows after the delivery. With a payout address they
    are that address's credit, and it withdraws them itself: dvllm wallet withdraw. A worker that
    runs is asked to do it.

    \b
    Examples:
      worker withdraw
      worker withdraw 12.5
      worker withdraw --stake
    """,
)
async def command(settings: WorkerSettings, amount: Wei | None, of_stake: bool) -> Result:
    if of_stake and amount is not None:
        raise click.UsageError("--stake moves all whose cool-down is over, so it takes no AMOUNT")
    return await done(WithdrawOrder(amount_wei=amount, of_stake=of_stake), settings)
