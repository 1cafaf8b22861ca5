"""A network for real workers, with a misbehaving proxy before the chain."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import FaultProxy
from tests.support.anvil import Anvil
from tests.support.bare_network import anvil, net

__all__ = ["anvil", "net", "proxy"]


@pytest.fixture
async def proxy(anvil: Anvil) -> AsyncIterator[FaultProxy]:
    async with FaultProxy("127.0.0.1", anvil.port) as proxy:
        yield proxy
