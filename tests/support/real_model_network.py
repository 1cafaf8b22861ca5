"""A network that serves SmolLM2 out of vLLM, with a gateway before it and a key to ask with."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.anvil import running_anvil
from tests.support.engines import smollm2_model_path, vllm_python
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.known_nodes import node_is_known
from tests.support.local_network import OWNER, sending
from tests.support.task_network import fund_gateway
from tests.support.worker_network import MODEL_ID, TERMS, WorkerNetwork, worker_network
from tests.support.worker_process import WorkerProcess

LONG_LEASE = replace(TERMS, lease_s=240, open_s=60)
START_PATIENCE_S = 300.0  # the model is fetched by its CID, then vLLM loads it
# In the full precision that a reference computes in, too.
ENGINE = {"kind": "vllm", "dtype": "float32", "threads": 1, "max_model_len": 512}


@dataclass(frozen=True)
class RealModel:
    net: WorkerNetwork
    v1: str
    key: str
    model: str = str(MODEL_ID)

    @property
    def arguments(self) -> tuple[str, str, str]:
        return self.v1, self.key, self.model


async def replace_model(net: WorkerNetwork, path: Path) -> None:
    """What the network's model is from here on."""
    cid = await net.store.add_path(path)
    async with sending(net.network, OWNER, net.folder) as owner:
        call = net.network.model_registry.update_model(MODEL_ID, cid, LONG_LEASE)
        await owner.send(call, key="update")
        await owner.wait("update")


@asynccontextmanager
async def gateway_before(
    net: WorkerNetwork, engine: Mapping[str, Any]
) -> AsyncIterator[tuple[GatewayProcess, WorkerProcess]]:
    """A gateway that knows of the only node, which serves the network's model out of vLLM."""
    await fund_gateway(net)
    with (
        net.worker(engine={**engine, "python": str(vllm_python())}) as worker,
        gateway_process(net) as gateway,
    ):
        await net.enlist(worker)
        worker.start()
        await worker.logged("on duty", patience_s=START_PATIENCE_S)
        gateway.start()
        await gateway.ready()
        await node_is_known(gateway)
        yield gateway, worker


@asynccontextmanager
async def serving_smollm2(folder: Path) -> AsyncIterator[RealModel]:
    with running_anvil() as anvil:
        async with worker_network(anvil, folder, LONG_LEASE) as net:
            await replace_model(net, smollm2_model_path())
            async with gateway_before(net, ENGINE) as (gateway, _):
                key = await gateway.make_key("client", credit="100")
                yield RealModel(net, f"{gateway.unified_url}/v1", key)
