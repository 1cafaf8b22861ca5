"""One anvil per test behind a proxy that can misbehave, with the market open."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.network import Network
from tests.faults.proxy import FaultProxy
from tests.support.anvil import Anvil, running_anvil
from tests.support.local_network import connected, deployed_on, open_market


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def deployment(anvil: Anvil, tmp_path: Path) -> Deployment:
    deployment = await deployed_on(anvil)
    async with connected(deployment, anvil.url) as network:
        await open_market(network, tmp_path)
    return deployment


@pytest.fixture
async def proxy(anvil: Anvil) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", anvil.port) as proxy:
        yield proxy


@pytest.fixture
async def network(deployment: Deployment, proxy: FaultProxy) -> AsyncIterator[Network]:
    """Only through the proxy, by HTTP and websocket, with half a second of patience."""
    async with connected(deployment, proxy.url, ws_url=proxy.ws_url, timeout_s=0.5) as network:
        yield network
