"""A client, and a market in which a test plays the node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from decentralized_vllm import AsyncClient
from tests.support.anvil import running_anvil
from tests.support.client_market import Market, market_on


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    with running_anvil() as anvil:
        async with market_on(anvil, tmp_path) as market:
            yield market


@pytest.fixture
async def client(market: Market) -> AsyncIterator[AsyncClient]:
    async with AsyncClient.of(market.settings()) as client:
        yield client
