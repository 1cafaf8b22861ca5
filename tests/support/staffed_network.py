"""Fixtures: a network with one worker on duty, and a gateway's key with money."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.anvil import Anvil
from tests.support.bare_network import anvil
from tests.support.task_network import fund_gateway
from tests.support.worker_network import WorkerNetwork, worker_network
from tests.support.worker_process import WorkerProcess

__all__ = ["anvil", "net", "worker"]


@pytest.fixture
async def net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    async with worker_network(anvil, tmp_path) as net:
        await fund_gateway(net)
        yield net


@pytest.fixture
async def worker(net: WorkerNetwork) -> AsyncIterator[WorkerProcess]:
    with net.worker() as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        yield worker
