"""What the commands about money do."""

from collections.abc import Awaitable, Callable
from typing import Any

from decentralized_vllm.aio import AsyncClient
from decentralized_vllm.cli.opening import opened
from decentralized_vllm.cli.output import show
from decentralized_vllm.cli.render import balance_fields, receipt_fields
from decentralized_vllm.cli.running import run
from decentralized_vllm.protocol.transactions import Receipt
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.tasks import Balance

_MOVES: dict[str, Callable[[AsyncClient, str], Awaitable[Receipt]]] = {
    "deposit": AsyncClient.deposit,
    "withdraw": AsyncClient.withdraw,
    "faucet": AsyncClient.draw_test_tokens,
}


def show_balance(options: dict[str, Any], *, as_json: bool) -> None:
    async def work() -> Balance:
        async with opened(options) as client:
            return await client.balance()

    found = run(work(), as_json=as_json)
    show(balance_fields(found), _lines(found), as_json=as_json)


def move(kind: str, amount: str, options: dict[str, Any], *, as_json: bool) -> None:
    async def work() -> tuple[Receipt, Balance]:
        async with opened(options) as client:
            receipt = await _MOVES[kind](client, amount)
            return receipt, await client.balance()

    receipt, found = run(work(), as_json=as_json)
    fields = {**receipt_fields(receipt), **balance_fields(found)}
    show(fields, [receipt.tx_hash, *_lines(found)], as_json=as_json)


def _lines(found: Balance) -> list[str]:
    return [
        f"account  {found.account}",
        f"credit   {format_tokens(found.credit_wei)} tokens",
        f"wallet   {format_tokens(found.wallet_wei)} tokens",
        f"gas      {format_tokens(found.gas_wei)}",
    ]
