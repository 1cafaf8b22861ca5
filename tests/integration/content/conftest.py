"""A store of each kind behind a running server."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from decentralized_vllm.content.gateway import GatewayStore
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.content.store import PinningStore
from tests.support.rpc import Rpc


@pytest.fixture(params=["memory", "local"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PinningStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with LocalStore(tmp_path / "store") as local:
        yield local


@pytest.fixture
async def server(store: PinningStore) -> AsyncIterator[ContentServer]:
    async with ContentServer(store, api_port=0, gateway_port=0) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def rpc(server: ContentServer, http: aiohttp.ClientSession) -> Rpc:
    return Rpc(server, http)


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[LocalStore]:
    async with LocalStore(tmp_path / "far") as store:
        yield store


@pytest.fixture
async def far_server(far: LocalStore) -> AsyncIterator[ContentServer]:
    async with ContentServer(far, api_port=0, gateway_port=0) as running:
        yield running


@pytest.fixture
async def kubo(far_server: ContentServer) -> AsyncIterator[KuboStore]:
    async with KuboStore(far_server.api_url) as store:
        yield store


@pytest.fixture
async def gateway(far_server: ContentServer) -> AsyncIterator[GatewayStore]:
    async with GatewayStore([far_server.gateway_url], public_only=False) as store:
        yield store
