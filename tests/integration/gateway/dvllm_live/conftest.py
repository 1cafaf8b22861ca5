"""A gateway process over a real chain, store and worker, which is the operator's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.anvil import Anvil, running_anvil
from tests.support.dvllm_live import Live, live_network


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def live(anvil: Anvil, tmp_path: Path) -> AsyncIterator[Live]:
    async with live_network(anvil, tmp_path) as live:
        yield live
