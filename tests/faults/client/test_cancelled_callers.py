"""Callers that are cancelled, at whatever step: the client goes on working for the others."""

import asyncio
import contextlib

import pytest

from decentralized_vllm import AsyncClient
from tests.support.anvil import running_anvil
from tests.support.client_market import market_on
from tests.support.local_network import MODEL

STEPS = 12  # of the loop, which is more than leaving a turn takes until it waits for a thread


@pytest.fixture
async def market(tmp_path):
    with running_anvil() as anvil:
        async with market_on(anvil, tmp_path) as market:
            yield market


async def cancelled_at(step, work):
    task = asyncio.ensure_future(work)
    for _ in range(step):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_turn__left_by_a_cancelled_caller__lets_the_next_send(market):
    async with AsyncClient.of(market.settings()) as client:
        sender = client._opened().require_spender().sender
        for step in range(STEPS):
            turn = sender.turn()
            await turn.__aenter__()
            await cancelled_at(step, turn.__aexit__(None, None, None))
            task = await client.submit_task("Hi", MODEL.model_id)
            assert task.id == step + 1
