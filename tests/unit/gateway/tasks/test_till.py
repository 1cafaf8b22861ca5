"""The gateway's own money: what is spoken for, filling up, and running out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.requester.tasks import Balance
from dvllm_gateway.errors import NoCapacity
from dvllm_gateway.ids import TaskId
from dvllm_gateway.market import till as till_module
from dvllm_gateway.market.till import Till, TillSettings
from tests.support.scripted_market import SENDER

A, B, C = TaskId("a"), TaskId("b"), TaskId("c")
SETTINGS = TillSettings(low_wei=Wei(100), full_wei=Wei(500), look_every_s=0.01, patience_s=0.5)


class Wallet:
    """The key's money, and the purse that moves it."""

    def __init__(self, credit: int = 0, wallet: int = 0, gas: int = 10) -> None:
        self.credit, self.wallet, self.gas = credit, wallet, gas
        self.deposits: list[int] = []
        self.n_outages = 0

    async def balance(self) -> Balance:
        await asyncio.sleep(0)
        if self.n_outages:
            self.n_outages -= 1
            raise ChainUnavailable("no chain")
        return Balance(SENDER, Wei(self.credit), Wei(self.wallet), Wei(self.gas))

    async def deposit(self, amount_wei: Wei) -> None:
        self.deposits.append(amount_wei)
        self.credit += amount_wei
        self.wallet -= amount_wei


def till_of(wallet: Wallet) -> Till:
    return Till(wallet, wallet.balance, SETTINGS)  # type: ignore[arg-type]


@asynccontextmanager
async def running(wallet: Wallet) -> AsyncIterator[Till]:
    till = till_of(wallet)
    await till.look()
    loop = asyncio.create_task(till.run())
    try:
        yield till
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def test_promise__counts_until_the_credit_shows_what_it_took() -> None:
    wallet = Wallet(credit=1_000)
    till = till_of(wallet)
    await till.look()
    await till.promise(A, Wei(300))
    assert till.free_wei == 700
    wallet.credit = 700  # mined
    await till.look()
    assert till.free_wei == 400  # rather too low than too high
    till.settled(A)
    assert till.free_wei == 400
    await till.look()
    assert till.free_wei == 700


async def test_promise__settled_while_the_credit_is_read__is_counted_once_more() -> None:
    wallet = Wallet(credit=1_000)
    till = till_of(wallet)
    await till.look()
    await till.promise(A, Wei(300))
    looking = asyncio.create_task(till.look())
    await asyncio.sleep(0)
    till.settled(A)
    await looking
    assert till.free_wei == 700
    wallet.credit = 700
    await till.look()
    assert till.free_wei == 700


async def test_run__credit_is_low__filled_from_the_wallet_before_anyone_needs_it() -> None:
    wallet = Wallet(credit=50, wallet=10_000)
    async with running(wallet) as till:
        await till.promise(A, Wei(400))
    assert till.free_wei == SETTINGS.full_wei


async def test_run__credit_is_plenty__nothing_is_moved() -> None:
    wallet = Wallet(credit=1_000, wallet=10_000)
    async with running(wallet) as till:
        await till.promise(A, Wei(400))
        await asyncio.sleep(0.05)
    assert wallet.deposits == []


async def test_promise__larger_than_a_full_till__is_filled_for_it() -> None:
    wallet = Wallet(credit=0, wallet=10_000)
    async with running(wallet) as till:
        await till.promise(A, Wei(2_000))
    assert wallet.credit >= 2_000


async def test_require__neither_credit_nor_wallet__no_capacity_and_the_operator_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    till = till_of(Wallet(credit=50, wallet=20))
    with pytest.raises(NoCapacity, match="not read yet"):
        till.require(Wei(1))
    await till.look()
    till.require(Wei(70))
    for _ in range(3):
        with pytest.raises(NoCapacity):
            till.require(Wei(71))
    assert caplog.text.count("send tokens to") == 1


async def test_promise__money_is_not_moved_in_time__no_capacity() -> None:
    till = till_of(Wallet(credit=50, wallet=1_000))
    await till.look()  # and nothing runs that fills it
    with pytest.raises(NoCapacity):
        await till.promise(A, Wei(400))
    assert till.free_wei == 50


async def test_run__outages__are_tried_again() -> None:
    wallet = Wallet(credit=0, wallet=1_000)
    async with running(wallet) as till:
        wallet.n_outages = 3
        await till.promise(A, Wei(400))
    assert wallet.n_outages == 0


async def test_gas__short__no_capacity_until_there_is_more() -> None:
    wallet = Wallet(credit=1_000, gas=5)
    till = till_of(wallet)
    await till.look()
    till.short_of_gas()
    for _ in range(2):
        await till.look()
        with pytest.raises(NoCapacity, match="gas"):
            till.require(Wei(1))
    wallet.gas = 6
    await till.look()
    till.require(Wei(1))


async def test_gas__short_for_long__tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till_module, "NO_GAS_S", 0.0)
    till = till_of(Wallet(credit=1_000))
    await till.look()
    till.short_of_gas()
    await till.look()
    till.require(Wei(1))


async def test_promised_before__by_a_former_process__counts_without_a_wait() -> None:
    till = till_of(Wallet(credit=1_000))
    await till.look()
    till.promised_before(B, Wei(900))
    assert till.free_wei == 100
    till.settled(C)
    assert till.free_wei == 100
