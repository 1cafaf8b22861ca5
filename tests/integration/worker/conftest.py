"""A network for real workers, mining at once."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.anvil import Anvil, running_anvil
from tests.support.worker_network import TERMS, WorkerNetwork, worker_network

BRIEF_S = 12


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    async with worker_network(anvil, tmp_path) as net:
        yield net


@pytest.fixture
async def hurried_net(anvil: Anvil, tmp_path: Path) -> AsyncIterator[WorkerNetwork]:
    """Its leases are so short that a node which hangs gives them back within a test."""
    async with worker_network(anvil, tmp_path, replace(TERMS, lease_s=BRIEF_S)) as net:
        yield net
