"""The network of the soak: chain, store, two nodes and a gateway, each a process that may die."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decentralized_vllm import AsyncClient, ClientSettings
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil, development_account
from tests.support.engines import tiny_model_path
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.soak.programs import ContentProgram, Ward, content_program
from tests.support.task_network import fund_gateway
from tests.support.worker_network import (
    FIRST_WORKER,
    SECOND_WORKER,
    WorkerNetwork,
    worker_network,
)
from tests.support.worker_process import WorkerProcess

ASKER = development_account(5)
DEPOSITOR = development_account(7)
GATEWAY_FUNDS_WEI = tokens(1_000)
PLENTY = "1000000/minute"


@dataclass
class Town:
    net: WorkerNetwork
    content: ContentProgram
    workers: tuple[WorkerProcess, ...]
    gateway: GatewayProcess
    wards: tuple[Ward, ...]

    @property
    def database(self) -> Path:
        return self.gateway.folder / "data" / "gateway.sqlite"

    def n_unfinished(self) -> int:
        """Of the gateway's tasks, read past the gateway."""
        over = "'completed', 'failed', 'cancelled'"
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            query = f"select count(*) from task where state not in ({over})"
            count: int = connection.execute(query).fetchone()[0]
        connection.close()
        return count

    @property
    def secrets(self) -> tuple[str, ...]:
        """Raw keys of its processes."""
        keys = [program.sections["key"]["private_key"] for program in (self.gateway, *self.workers)]
        return tuple(str(key) for key in keys)

    def client(self) -> AsyncClient:
        return AsyncClient.of(
            ClientSettings(
                eth_node_url=self.net.anvil.url,
                contract_address=self.net.network.coordinator.address,
                private_key="0x" + bytes(ASKER.key).hex(),
                ipfs_host="127.0.0.1",
                ipfs_port=self.content.api_port,
                ws_url=self.net.anvil.ws_url,
                data_dir=self.net.folder / "client",
                poll_s=0.5,
            )
        )


@asynccontextmanager
async def town(anvil: Anvil, folder: Path) -> AsyncIterator[Town]:
    """Everything serves, and the chain mines a block a second."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(worker_network(anvil, folder))
        await fund_gateway(net, GATEWAY_FUNDS_WEI)
        for account in (ASKER, DEPOSITOR):
            await net.give_tokens(Address(account.address), tokens(500))
        content = stack.enter_context(content_program(folder / "content", await _stocked(folder)))
        wards = [Ward("content", content, "api_url")]
        await wards[0].serves()
        workers = tuple(
            stack.enter_context(net.worker(account, **_worker_changes(content)))
            for account in (FIRST_WORKER, SECOND_WORKER)
        )
        for number, worker in enumerate(workers, start=1):
            await net.enlist(worker)
            wards.append(Ward(f"worker-{number}", worker, "on duty"))
            await wards[-1].serves()
        gateway = stack.enter_context(gateway_process(net, **_gateway_changes(content)))
        wards.append(Ward("gateway", gateway, '"key_held"'))
        await wards[-1].serves()
        await net.mine_every_second()
        yield Town(net, content, workers, gateway, tuple(wards))


async def _stocked(folder: Path) -> Path:
    """A store that has the model already."""
    path = folder / "content" / "store"
    async with LocalStore(path) as store:
        await store.add_path(tiny_model_path())
    return path


def _worker_changes(content: ContentProgram) -> dict[str, dict[str, Any]]:
    return {
        "content": {"gateways": [content.gateway_url], "mirror_api": content.api_url},
        "node": {"resume_on_start": True},
        "engine.null": {"n_tokens": 1000, "first_token_s": 0.2, "token_interval_s": 0.05},
    }


def _gateway_changes(content: ContentProgram) -> dict[str, dict[str, Any]]:
    return {
        "content": {"ipfs_port": content.api_port},
        "tasks": {"at_once_per_account": 100},
        "limits": {"inference": PLENTY, "reads": PLENTY, "tokens": PLENTY},
        "rates.dvllm": {"submit": PLENTY, "status": PLENTY},
    }
