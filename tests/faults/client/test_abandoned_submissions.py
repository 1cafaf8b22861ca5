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
