"""Accounts and their ledger."""

import pytest

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import InsufficientBalance, InvalidRequest, NotFound
from dvllm_gateway.services.credit import PrepaidCredit
from dvllm_gateway.services.ports import Balance
from dvllm_gateway.services.stores import LedgerLine, Movement
from dvllm_gateway.state import Database, SqlAccountStore
from tests.support.gateway_tasks import ALICE, BOB

NOW_MS = 1_700_000_000_000


@pytest.fixture
def credit(database: Database) -> PrepaidCredit:
    return PrepaidCredit(SqlAccountStore(database), clock_ms=lambda: NOW_MS)


async def test_balance__unknown_account__is_nothing(credit: PrepaidCredit) -> None:
    assert await credit.balance(BOB) == Balance(Wei(0), Wei(0))
    with pytest.raises(NotFound):
        await credit.account(BOB)


async def test_grant__twice_and_some_back__adds_up_in_balance_and_ledger(
    credit: PrepaidCredit,
) -> None:
    await credit.grant(BOB, Wei(10**30), reason="invoice 1")
    await credit.grant(BOB, Wei(5), reason=" invoice 2 ")
    balance = await credit.grant(BOB, Wei(-3), reason="mistake")
    assert balance == await credit.balance(BOB) == Balance(Wei(10**30 + 2), Wei(0))
    page = await credit.history(BOB, limit=2)
    assert page.total == 3
    assert page.lines == (
        LedgerLine(3, BOB, Movement.GRANT, Wei(-3), Wei(0), NOW_MS, None, "mistake"),
        LedgerLine(2, BOB, Movement.GRANT, Wei(5), Wei(0), NOW_MS, None, "invoice 2"),
    )
    rest = await credit.history(BOB, limit=2, offset=2)
    assert [line.available_wei for line in rest.lines] == [10**30]


async def test_grant__more_taken_back_than_there_is__changes_nothing(
    credit: PrepaidCredit,
) -> None:
    await credit.grant(BOB, Wei(5), reason="invoice")
    with pytest.raises(InsufficientBalance):
        await credit.grant(BOB, Wei(-6), reason="greed")
    assert (await credit.history(BOB, limit=5)).total == 1


@pytest.mark.parametrize(
    ("amount_wei", "reason"), [(0, "why"), (10**49, "why"), (1, "  "), (1, "x" * 501)]
)
async def test_grant__without_sense_or_reason__is_refused(
    credit: PrepaidCredit, amount_wei: int, reason: str
) -> None:
    with pytest.raises(InvalidRequest):
        await credit.grant(BOB, Wei(amount_wei), reason=reason)


async def test_accounts__several__come_in_pages(credit: PrepaidCredit) -> None:
    for account in (BOB, ALICE):
        await credit.grant(account, Wei(1), reason="start")
    page = await credit.accounts(limit=1, offset=1)
    assert page.total == 2
    (account,) = page.accounts
    assert (account.id, account.created_at_ms) == (BOB, NOW_MS)
