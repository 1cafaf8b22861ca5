"""One anvil per test, with the contracts on it and the market open."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.network import Network
from tests.support.anvil import Anvil, running_anvil
from tests.support.local_network import connected, deployed_on, open_market


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """Mines every transaction at once."""
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def deployment(anvil: Anvil) -> Deployment:
    return await deployed_on(anvil)


@pytest.fixture
async def network(anvil: Anvil, deployment: Deployment, tmp_path: Path) -> AsyncIterator[Network]:
    async with connected(deployment, anvil.url, ws_url=anvil.ws_url) as network:
        await open_market(network, tmp_path)
        yield network
