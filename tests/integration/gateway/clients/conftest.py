"""One network with a worker and a gateway, for all of other people's clients."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.anvil import running_anvil
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.known_nodes import node_is_known
from tests.support.task_network import fund_gateway
from tests.support.worker_network import MODEL_ID, worker_network

# Clients that fuzz are to be refused for what they send, not for how often.
MANY = {"inference": "100000/minute", "reads": "1000000/hour", "wallet": "100000/minute"}
OF_EACH_API = {
    "dvllm": dict.fromkeys(("submit", "models", "status", "auth"), "1000000/hour"),
    "openai": dict.fromkeys(("inference", "status"), "1000000/hour"),
}


@dataclass(frozen=True)
class Served:
    gateway: GatewayProcess
    key: str
    model: str = str(MODEL_ID)

    @property
    def v1(self) -> str:
        return f"{self.gateway.unified_url}/v1"

    @property
    def arguments(self) -> tuple[str, str, str]:
        return self.v1, self.key, self.model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    with running_anvil() as anvil:
        async with worker_network(anvil, tmp_path_factory.mktemp("net")) as net:
            await fund_gateway(net)
            with net.worker() as worker, gateway_process(net, limits=MANY) as gateway:
                await net.enlist(worker)
                worker.start()
                await worker.on_duty()
                gateway.start(DVLLM_GATEWAY__RATES=json.dumps(OF_EACH_API))
                await gateway.ready()
                await node_is_known(gateway)
                yield Served(gateway, await gateway.make_key("client", credit="100"))
