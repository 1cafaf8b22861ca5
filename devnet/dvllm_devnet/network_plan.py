"""What a network will be, before anything runs: pure functions of settings and addresses."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.protocol.deployment_plan import MODEL_REGISTRY, NODE_REGISTRY, TOKEN
from dvllm_devnet.accounts import Cast
from dvllm_devnet.gateway_setup import GatewayPlan
from dvllm_devnet.layout import Layout
from dvllm_devnet.manifest import (
    AccountEntry,
    ContractAddresses,
    GatewayEntry,
    Manifest,
    ModelEntry,
)
from dvllm_devnet.ports import free_block
from dvllm_devnet.settings import ContentSettings, DevnetSettings
from dvllm_devnet.worker_setup import NetworkAddresses, WorkerPlan

_N_OTHER_PORTS = 3  # chain, content API, gateway


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """`root` is the checkout, `home` where this network keeps its data.

    `engine` is the section [engine] of each `worker.toml`. A fresh network forgets the last one;
    `keeps_content` spares models and blocks, which do not depend on a chain.
    """

    root: Path
    home: Path
    settings: DevnetSettings
    engine: Mapping[str, Any]
    is_fresh: bool = False
    keeps_content: bool = False

    @property
    def rpc_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.chain.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.settings.chain.port}"

    @property
    def ipfs_api(self) -> str:
        return f"http://127.0.0.1:{self.settings.content.api_port}"

    @property
    def ipfs_gateway(self) -> str:
        return f"http://127.0.0.1:{self.settings.content.gateway_port}"


def on_free_ports(settings: DevnetSettings) -> DevnetSettings:
    """The same network on ports that nobody uses, for one that nobody has to find."""
    n_others = _N_OTHER_PORTS + len(settings.gateway.ports)
    first = free_block(n_others + settings.workers.count)
    chain = settings.chain.model_copy(update={"port": first})
    content = ContentSettings(api_port=first + 1, gateway_port=first + 2)
    names = (name.rpartition(".")[2] for name in settings.gateway.ports)
    gateway_ports = {name: first + _N_OTHER_PORTS + n for n, name in enumerate(names)}
    return settings.model_copy(
        update={
            "chain": chain,
            "content": content,
            "gateway": settings.gateway.model_copy(update=gateway_ports),
            "workers": settings.workers.model_copy(update={"first_port": first + n_others}),
        }
    )


def worker_plans(settings: DevnetSettings, cast: Cast, layout: Layout) -> list[WorkerPlan]:
    return [
        WorkerPlan(
            account=account,
            data_dir=layout.worker(number),
            port=settings.worker_port(number),
            slots=settings.workers.slots,
            stake_wei=settings.workers.stake,
            managers=(cast.gateway.address,) if settings.gateway.enabled else (),
        )
        for number, account in enumerate(cast.workers, start=1)
    ]


def gateway_plan(settings: DevnetSettings, cast: Cast, layout: Layout) -> GatewayPlan | None:
    """None for a network without a gateway."""
    if not settings.gateway.enabled:
        return None
    node = worker_plans(settings, cast, layout)[0]
    return GatewayPlan(cast.gateway, layout.gateway, settings.gateway, node.url)


def addresses_of(plan: NetworkPlan, deployment: Deployment) -> NetworkAddresses:
    return NetworkAddresses(
        rpc_url=plan.rpc_url,
        ws_url=plan.ws_url,
        chain_id=deployment.chain_id,
        coordinator=deployment.coordinator.address,
        first_block=deployment.first_block,
        ipfs_api=plan.ipfs_api,
        ipfs_gateway=plan.ipfs_gateway,
    )


def manifest_of(
    plan: NetworkPlan,
    deployment: Deployment,
    cast: Cast,
    model: ModelEntry,
    gateway: GatewayEntry | None,
    api_key: str | None,
) -> Manifest:
    return Manifest(
        rpc_url=plan.rpc_url,
        ws_url=plan.ws_url,
        chain_id=deployment.chain_id,
        contracts=ContractAddresses(
            coordinator=deployment.coordinator.address,
            model_registry=deployment.contracts[MODEL_REGISTRY].address,
            node_registry=deployment.contracts[NODE_REGISTRY].address,
            token=deployment.contracts[TOKEN].address,
        ),
        ipfs_api=plan.ipfs_api,
        ipfs_gateway=plan.ipfs_gateway,
        accounts=tuple(
            AccountEntry(name=a.name, address=a.address, private_key=a.private_key)
            for a in cast.all
        ),
        models=(model,),
        gateway=gateway,
        api_key=api_key,
    )
