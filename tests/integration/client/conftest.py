"""A client, and a market in which a test plays the node."""

import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm import AsyncClient
from tests.support.anvil import running_anvil
from tests.support.client_market import Market, market_on
from tests.support.command_line import dvllm_environment, run_dvllm


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    with running_anvil() as anvil:
        async with market_on(anvil, tmp_path) as market:
            yield market


@pytest.fixture
async def client(market: Market) -> AsyncIterator[AsyncClient]:
    async with AsyncClient.of(market.settings()) as client:
        yield client


@pytest.fixture
def environment(market: Market, tmp_path: Path) -> dict[str, str]:
    return dvllm_environment(market, tmp_path)


@pytest.fixture
def dvllm(environment: dict[str, str]) -> Any:
    """Runs one command to its end: (exit code, standard output, standard error)."""
    return functools.partial(run_dvllm, environment)
