"""`gateway accounts`: what accounts have, and what the operator gives them."""

from datetime import UTC, datetime
from typing import Any

import click

from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.errors import InvalidAmount
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.units import format_tokens, parse_tokens
from dvllm_gateway.commands.on_database import AccountName, database_command
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.credit import PrepaidCredit
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import LedgerLine
from dvllm_gateway.state import Database, SqlAccountStore


@click.group(name="accounts")
def accounts() -> None:
    """Prepaid credit of the gateway's users."""


# A decorator of a command adds to the end: the lowest one is the first argument.
_account = click.argument("account", type=AccountName())
_limit = click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
_offset = click.option("--offset", type=click.IntRange(0), default=0, show_default=True)


class Amount(click.ParamType[Wei]):
    """A decimal amount of tokens, as wei."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Wei:
        try:
            return parse_tokens(str(value))
        except InvalidAmount as error:
            self.fail(error.message, param, ctx)


@_limit
@_offset
@database_command(
    name="list",
    say=lambda result: _table(result["accounts"], result["total"]),
    help_text="Show all accounts with their balances.",
)
async def list_accounts(database: Database, limit: int, offset: int) -> Result:
    page = await _credit(database).accounts(limit=limit, offset=offset)
    return {
        "accounts": [{"account": a.id, **_balance_fields(a.balance)} for a in page.accounts],
        "total": page.total,
    }


@_account
@database_command(
    name="show", say=lambda result: _balance_line(result), help_text="Show one account's balance."
)
async def show(database: Database, account: AccountId) -> Result:
    found = await _credit(database).account(account)
    return {"account": account, **_balance_fields(found.balance)}


@click.option("--take-back", is_flag=True, help="Take the amount from what is available.")
@click.option("--reason", required=True, help="Why; it stands in the account's ledger.")
@click.argument("amount", type=Amount())
@_account
@database_command(
    name="grant",
    say=lambda result: _balance_line(result),
    help_text="""Give an account AMOUNT tokens of credit; an unknown account is made.

    \b
    Example:
      gateway accounts grant team-7 25 --reason "invoice 1071"
    """,
)
async def grant(
    database: Database, account: AccountId, amount: Wei, reason: str, take_back: bool
) -> Result:
    signed_wei = Wei(-amount) if take_back else amount
    balance = await _credit(database).grant(account, signed_wei, reason=reason)
    return {"account": account, **_balance_fields(balance)}


@_account
@_limit
@_offset
@database_command(
    name="history",
    say=lambda result: "\n".join(_ledger_line(line) for line in result["lines"]) or "no lines yet",
    help_text="Show an account's ledger, newest first.",
)
async def history(database: Database, account: AccountId, limit: int, offset: int) -> Result:
    credit = _credit(database)
    await credit.account(account)
    page = await credit.history(account, limit=limit, offset=offset)
    return {
        "account": account,
        "lines": [_fields(line) for line in page.lines],
        "total": page.total,
    }


for _command in (list_accounts, show, grant, history):
    accounts.add_command(_command)


def _credit(database: Database) -> PrepaidCredit:
    return PrepaidCredit(SqlAccountStore(database))


def _balance_fields(balance: Balance) -> dict[str, str]:
    return {
        "available_wei": str(balance.available_wei),
        "reserved_wei": str(balance.reserved_wei),
    }


def _fields(line: LedgerLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": datetime.fromtimestamp(line.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "movement": line.movement.value,
        "available_wei": str(line.available_wei),
        "reserved_wei": str(line.reserved_wei),
        "task_id": line.task_id,
        "reason": line.reason,
    }


def _table(entries: list[dict[str, str]], total: int) -> str:
    lines = [_balance_line(entry) for entry in entries]
    return "\n".join([*lines, f"{len(entries)} of {total} accounts"])


def _balance_line(entry: Result) -> str:
    available = format_tokens(int(entry["available_wei"]))
    reserved = format_tokens(int(entry["reserved_wei"]))
    return f"{entry['account']:<42}  {available} available, {reserved} reserved"


def _ledger_line(line: Result) -> str:
    available = format_tokens(int(line["available_wei"]))
    reserved = format_tokens(int(line["reserved_wei"]))
    about = line["reason"] or line["task_id"] or ""
    return (
        f"{line['at']}  {line['movement']:<8}  available {available:>24}  "
        f"reserved {reserved:>24}  {about}"
    )
