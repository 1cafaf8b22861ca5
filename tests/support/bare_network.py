"""Fixtures: a network for real workers, mining at once, with nobody on duty."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

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
