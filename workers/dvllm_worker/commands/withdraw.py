"""`worker withdraw`: matured earnings, or stake whose cool-down is over, to the wallet."""

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import InsufficientFunds
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.commands._shared import TokenAmount, node_command
from dvllm_worker.onchain import Desk, open_desk
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
    are that address's credit, and it withdraws them itself: dvllm wallet withdraw.

    \b
    Examples:
      worker withdraw
      worker withdraw 12.5
      worker withdraw --stake
    """,
)
async def command(settings: WorkerSettings, amount: Wei | None, of_stake: bool) -> Result:
    async with open_desk(settings) as desk:
        moved_wei = await (_stake(desk) if of_stake else _earnings(desk, amount))
        return {
            "node": desk.address,
            "amount": format_tokens(moved_wei),
            "amount_wei": moved_wei,
        }


async def _stake(desk: Desk) -> Wei:
    cooling_wei = (await desk.node()).cooling_wei
    if cooling_wei == 0:
        raise InsufficientFunds("no stake is cooling down", hint="run `worker unstake AMOUNT`")
    await desk.do(desk.network.node_calls.withdraw_stake())
    return cooling_wei


async def _earnings(desk: Desk, amount: Wei | None) -> Wei:
    if (await desk.node()).pending_earnings_wei:
        await desk.do(desk.network.node_calls.settle(desk.address))
    credit_wei = await desk.network.coordinator.credit(desk.address)
    wanted_wei = credit_wei if amount is None else amount
    if not 0 < wanted_wei <= credit_wei:
        raise InsufficientFunds(
            f"{format_tokens(credit_wei)} tokens can be withdrawn now",
            hint="earnings mature over the dispute window; `worker status` shows them",
        )
    await desk.do(desk.network.requester_calls.withdraw(wanted_wei))
    return wanted_wei
