"""A network with one worker on duty, and a gateway before it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.staffed_network import anvil, net, worker
from tests.support.worker_network import WorkerNetwork

__all__ = ["anvil", "gateway", "net", "worker"]


@pytest.fixture
async def gateway(net: WorkerNetwork) -> AsyncIterator[GatewayProcess]:
    with gateway_process(net) as gateway:
        gateway.start()
        await gateway.ready()
        yield gateway
