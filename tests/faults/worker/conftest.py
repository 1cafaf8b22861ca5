"""A network for real workers, with a misbehaving proxy before the chain."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import FaultProxy
from tests.support.anvil import Anvil, running_anvil
from tests.support.worker_network import WorkerNetwork, worker_network


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    async with worker_network(anvil, tmp_path) as net:
        yield net


@pytest.fixture
async def proxy(anvil: Anvil) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", anvil.port) as proxy:
        yield proxy
