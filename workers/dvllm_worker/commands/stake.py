"""`worker stake`: tokens that back the node's word."""

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import InsufficientFunds
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.permits import Permits
from dvllm_worker.commands._shared import TokenAmount, node_command
from dvllm_worker.onchain import open_desk
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    return f"{result['node']} has {result['stake']} tokens at stake"


@click.argument("amount", type=TokenAmount())
@node_command(
    name="stake",
    say=_say,
    help_text="""Stake AMOUNT tokens from the wallet, in one transaction (by permit).

    Odds of a lease follow stake. Join a version again after staking more: worker serve-model.

    \b
    Example:
      worker stake 1000
    """,
)
async def command(settings: WorkerSettings, amount: Wei) -> Result:
    async with open_desk(settings) as desk:
        balance_wei = await desk.network.token.balance(desk.address)
        if balance_wei < amount:
            raise InsufficientFunds(
                f"{desk.address} has {format_tokens(balance_wei)} tokens, "
                f"{format_tokens(amount)} are needed",
                hint="send it tokens first",
            )
        permit = await Permits(desk.network, desk.account).sign(amount)
        receipt = await desk.do(desk.network.node_calls.stake_with_permit(permit))
        stake_wei = (await desk.node()).stake_wei
        return {
            "node": desk.address,
            "stake": format_tokens(stake_wei),
            "stake_wei": stake_wei,
            "tx_hash": receipt.tx_hash,
        }
