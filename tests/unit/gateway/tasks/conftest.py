"""The task service over a scripted market and stores in memory, running."""

from collections.abc import AsyncIterator

import pytest

from dvllm_gateway.state.memory import MemoryTaskStore
from tests.support.scripted_market import ScriptedMarket
from tests.support.task_desk import ALICE, GRANT_WEI, Desk, running


@pytest.fixture
def store() -> MemoryTaskStore:
    store = MemoryTaskStore()
    store.grant(ALICE, GRANT_WEI)
    return store


@pytest.fixture
def market() -> ScriptedMarket:
    return ScriptedMarket()


@pytest.fixture
async def desk(store: MemoryTaskStore, market: ScriptedMarket) -> AsyncIterator[Desk]:
    async with running(store, market) as desk:
        yield desk
