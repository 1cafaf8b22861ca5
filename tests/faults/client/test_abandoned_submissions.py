"""Submissions whose caller leaves when they are sent: a web request that is given up, a timeout."""

import asyncio
import contextlib

import pytest

from decentralized_vllm import AsyncClient
from tests.support.anvil import running_anvil
from tests.support.client_market import ASKER, market_on
from tests.support.local_network import MODEL
from tests.support.waiting import wait_until

STEPS = range(0, 260, 20)  # of the loop, until it is sent for sure


@pytest.fixture
async def market(tmp_path):
    with running_anvil() as anvil:
        async with market_on(anvil, tmp_path) as market:
            yield market


@pytest.fixture
async def client(market):
    async with AsyncClient.of(market.settings()) as client:
        yield client


async def abandoned(client, anvil):
    """Its transaction waits in the pool when the caller leaves."""
    await anvil.acall("evm_setIntervalMining", 0)
    submitting = asyncio.create_task(client.submit_task("Hi", MODEL.model_id))
    await wait_until(lambda: has_pending(anvil), what="the transaction in the pool")
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting


def has_pending(anvil):
    return int(anvil.call("txpool_status")["pending"], 16) > 0


async def test_submit__left_when_sent__lets_the_next_bring_money_of_its_own(client, market):
    await abandoned(client, market.anvil)
    submitting = asyncio.create_task(client.submit_task("Ho", MODEL.model_id))
    await asyncio.sleep(1)  # in which it could take the money that the first one takes
    await market.anvil.acall("evm_setIntervalMining", 1)
    assert (await submitting).id == 2
    assert await market.anvil.acall("eth_getTransactionCount", ASKER.address, "latest") == "0x2"


async def test_submit__left_when_sent__still_offers_its_prompt(client, market):
    care = client._opened().care
    await abandoned(client, market.anvil)
    await market.anvil.acall("evm_setIntervalMining", 1)
    await wait_until(lambda: care.known() == [1], what="the job to be looked after")


async def test_close__with_a_submission_that_was_left__does_not_wait_for_it(market):
    async with AsyncClient.of(market.settings()) as client:
        await abandoned(client, market.anvil)
    assert has_pending(market.anvil)


async def test_submit__after_one_that_a_closed_client_left__brings_money_of_its_own(market):
    """The permit of the first and the money it takes are on chain before the next is planned."""
    async with AsyncClient.of(market.settings()) as client:
        await abandoned(client, market.anvil)
    async with AsyncClient.of(market.settings()) as client:
        submitting = asyncio.create_task(client.submit_task("Ho", MODEL.model_id))
        await asyncio.sleep(1)  # in which it could use the permit that the first one uses
        await market.anvil.acall("evm_setIntervalMining", 1)
        assert (await submitting).id == 2


async def test_deposit__after_a_submission_that_a_closed_client_left__has_a_permit_of_its_own(
    market,
):
    async with AsyncClient.of(market.settings()) as client:
        await abandoned(client, market.anvil)
    async with AsyncClient.of(market.settings()) as client:
        depositing = asyncio.create_task(client.deposit("1"))
        await asyncio.sleep(1)
        await market.anvil.acall("evm_setIntervalMining", 1)
        await depositing
        assert (await client.balance()).credit_wei == 10**18


async def test_deposits__at_the_same_time_as_submissions__each_have_a_permit(client):
    moved = await asyncio.gather(
        *(client.deposit("1") for _ in range(3)),
        *(client.submit_task("Hi", MODEL.model_id) for _ in range(2)),
        return_exceptions=True,
    )
    assert [each for each in moved if isinstance(each, BaseException)] == []


async def test_deposit__left_when_sent__leaves_its_permit_to_nobody(client, market):
    await market.anvil.acall("evm_setIntervalMining", 0)
    depositing = asyncio.create_task(client.deposit("1"))
    holding = asyncio.create_task(client.withdraw("0"))  # keeps the key in use
    await wait_until(lambda: has_pending(market.anvil), what="the transaction in the pool")
    depositing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await depositing
    again = asyncio.create_task(client.deposit("1"))
    await asyncio.sleep(1)
    await market.anvil.acall("evm_setIntervalMining", 1)
    await asyncio.gather(again, holding, return_exceptions=True)
    assert again.exception() is None


async def test_submit__left_at_any_step__lets_the_next_through(client):
    """Each is sent whole or not at all, and takes nothing from who comes after."""
    for steps in STEPS:
        submitting = asyncio.create_task(client.submit_task("Hi", MODEL.model_id))
        for _ in range(steps):
            await asyncio.sleep(0)
        submitting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await submitting
        assert (await client.submit_task("Ho", MODEL.model_id)).id > 0
