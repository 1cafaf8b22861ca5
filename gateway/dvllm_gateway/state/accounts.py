"""Accounts: what they have, and how it came."""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.ids import AccountId, TaskId
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import (
    Account,
    AccountPage,
    LedgerLine,
    LedgerPage,
    Movement,
)
from dvllm_gateway.state.database import Database
from dvllm_gateway.state.money import Change, move
from dvllm_gateway.state.tables import account as accounts
from dvllm_gateway.state.tables import ledger

NOTHING = Balance(Wei(0), Wei(0))


class SqlAccountStore:
    """The AccountStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def balance(self, account: AccountId) -> Balance:
        found = await self.find(account)
        return NOTHING if found is None else found.balance

    async def grant(
        self, account: AccountId, amount_wei: Wei, *, reason: str, at_ms: int
    ) -> Balance:
        change = Change(Movement.GRANT, amount_wei, 0, at_ms, reason=reason)
        return await self._database.write(lambda tx: move(tx, account, [change]))

    async def find(self, account: AccountId) -> Account | None:
        query = select(accounts).where(accounts.c.id == account)
        row = await self._database.read(lambda tx: tx.execute(query).one_or_none())
        return None if row is None else _account(row)

    async def list(self, *, limit: int, offset: int) -> AccountPage:
        return await self._database.read(lambda tx: _account_page(tx, limit, offset))

    async def history(self, account: AccountId, *, limit: int, offset: int) -> LedgerPage:
        return await self._database.read(lambda tx: _ledger_page(tx, account, limit, offset))


def _account_page(tx: Connection, limit: int, offset: int) -> AccountPage:
    total = tx.execute(select(func.count()).select_from(accounts)).scalar_one()
    query = select(accounts).order_by(accounts.c.id).limit(limit).offset(offset)
    return AccountPage(tuple(_account(row) for row in tx.execute(query)), total)


def _ledger_page(tx: Connection, account: AccountId, limit: int, offset: int) -> LedgerPage:
    is_its = ledger.c.account == account
    total = tx.execute(select(func.count()).select_from(ledger).where(is_its)).scalar_one()
    query = select(ledger).where(is_its).order_by(ledger.c.id.desc()).limit(limit).offset(offset)
    return LedgerPage(tuple(_line(row) for row in tx.execute(query)), total)


def _account(row: Row[Any]) -> Account:
    balance = Balance(Wei(row.available_wei), Wei(row.reserved_wei))
    return Account(AccountId(row.id), row.created_at_ms, balance)


def _line(row: Row[Any]) -> LedgerLine:
    return LedgerLine(
        id=row.id,
        account=AccountId(row.account),
        movement=Movement(row.movement),
        available_wei=Wei(row.available_wei),
        reserved_wei=Wei(row.reserved_wei),
        at_ms=row.at_ms,
        task_id=None if row.task_id is None else TaskId(row.task_id),
        reason=row.reason,
    )
