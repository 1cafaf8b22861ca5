"""Moves money: an account's balance and the ledger's lines, always together."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import InsufficientBalance
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import Movement
from dvllm_gateway.state.tables import account as accounts
from dvllm_gateway.state.tables import ledger
from dvllm_gateway.state.upsert import insert_if_absent

# Built once: to build a statement costs more than to run it.
_LOCK = (
    select(accounts.c.available_wei, accounts.c.reserved_wei)
    .where(accounts.c.id == bindparam("account"))
    .with_for_update()
)
_SET = update(accounts).where(accounts.c.id == bindparam("account"))
_NOTE = insert(ledger)


@dataclass(frozen=True, slots=True)
class Change:
    """What a movement does to an account; both amounts are signed."""

    movement: Movement
    available_wei: int
    reserved_wei: int
    at_ms: int
    task_id: TaskId | None = None
    reason: str = ""


def ensure_account(tx: Connection, account: AccountId, at_ms: int) -> None:
    insert_if_absent(tx, accounts, id=account, created_at_ms=at_ms, available_wei=0, reserved_wei=0)


def move(
    tx: Connection, account: AccountId, changes: Sequence[Change], *, may_overdraw: bool = False
) -> Balance:
    """The balance after them; makes an unknown account.

    Raises InsufficientBalance where they take more than is available, unless `may_overdraw`.
    """
    before = _lock(tx, account, changes[0].at_ms)
    after = Balance(
        available_wei=Wei(before.available_wei + sum(c.available_wei for c in changes)),
        reserved_wei=Wei(before.reserved_wei + sum(c.reserved_wei for c in changes)),
    )
    if after.available_wei < min(0, before.available_wei) and not may_overdraw:
        raise _too_little(before, Wei(before.available_wei - after.available_wei))
    amounts = {"available_wei": after.available_wei, "reserved_wei": after.reserved_wei}
    tx.execute(_SET, {"account": account, **amounts})
    tx.execute(_NOTE, [_line(account, change) for change in changes])
    return after


def _lock(tx: Connection, account: AccountId, at_ms: int) -> Balance:
    """Nobody else moves this account's money before the transaction ends."""
    row = tx.execute(_LOCK, {"account": account}).one_or_none()
    if row is None:
        ensure_account(tx, account, at_ms)
        row = tx.execute(_LOCK, {"account": account}).one()
    return Balance(Wei(row.available_wei), Wei(row.reserved_wei))


def _too_little(before: Balance, required_wei: Wei) -> InsufficientBalance:
    return InsufficientBalance(
        "the account's credit does not cover this",
        required_wei=required_wei,
        available_wei=before.available_wei,
        balance_wei=Wei(before.available_wei + before.reserved_wei),
    )


def _line(account: AccountId, change: Change) -> dict[str, str | int | None]:
    return {
        "account": account,
        "movement": change.movement,
        "available_wei": change.available_wei,
        "reserved_wei": change.reserved_wei,
        "at_ms": change.at_ms,
        "task_id": change.task_id,
        "reason": change.reason,
    }
