"""What the commands about money do."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from decentralized_vllm.aio import AsyncClient
from decentralized_vllm.cli.opening import opened
from decentralized_vllm.cli.output import remark, show
from decentralized_vllm.cli.render import balance_fields, receipt_fields
from decentralized_vllm.cli.running import fail, run
from decentralized_vllm.protocol.amounts import wei_of
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.transactions import Receipt
from decentralized_vllm.protocol.units import format_tokens
from decentralized_vllm.requester.tasks import Balance

_MOVES: dict[str, Callable[[AsyncClient, str], Awaitable[Receipt]]] = {
    "deposit": AsyncClient.deposit,
    "withdraw": AsyncClient.withdraw,
    "faucet": AsyncClient.draw_test_tokens,
}
_ON_INTERRUPT = "what was sent counts; look at `dvllm wallet balance` before you try again"


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

    receipt, found = run(work(), as_json=as_json, on_interrupt=_ON_INTERRUPT)
    fields = {**receipt_fields(receipt), **balance_fields(found)}
    show(fields, [receipt.tx_hash, *_lines(found)], as_json=as_json)


def send_tokens(
    to: str, amount: str, options: dict[str, Any], *, is_sure: bool, as_json: bool
) -> None:
    try:
        amount_wei = wei_of(amount, "amount")
    except SettingError as error:  # before anybody is asked
        fail(error, as_json=as_json)
    if not is_sure:
        _confirm(f"send {format_tokens(amount_wei)} tokens to {to}?")

    async def work() -> tuple[Receipt, Balance]:
        async with opened(options) as client:
            receipt = await client.send_tokens(to, amount)
            return receipt, await client.balance()

    receipt, found = run(work(), as_json=as_json, on_interrupt=_ON_INTERRUPT)
    sent = {"to": to, "sent_wei": str(amount_wei)}
    fields = {**receipt_fields(receipt), **sent, **balance_fields(found)}
    show(fields, [receipt.tx_hash, *_lines(found)], as_json=as_json)


def _confirm(question: str) -> None:
    """Asks where somebody sits; a program that calls this has decided already."""
    if sys.stdin is not None and sys.stdin.isatty() and not click.confirm(question, err=True):
        remark("nothing was sent")
        raise SystemExit(1)


def _lines(found: Balance) -> list[str]:
    return [
        f"account  {found.account}",
        f"credit   {format_tokens(found.credit_wei)} tokens",
        f"wallet   {format_tokens(found.wallet_wei)} tokens",
        f"gas      {format_tokens(found.gas_wei)}",
    ]
