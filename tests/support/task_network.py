"""The gateway's task service alone, on a real network: no HTTP in front of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from decentralized_vllm import ClientSettings
from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.prompts import chat_prompt
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.ids import AccountId
from dvllm_gateway.market.desk import Desk, TradeSettings, open_desk
from dvllm_gateway.market.till import TillSettings
from dvllm_gateway.services.event_bus import Bus
from dvllm_gateway.services.live_tasks import LiveTasks
from dvllm_gateway.services.task_crew import TaskCrew
from dvllm_gateway.services.task_limits import TaskLimits
from dvllm_gateway.services.task_runner import TaskPatience
from dvllm_gateway.services.task_service import TaskService
from dvllm_gateway.services.tasks import TaskRequest
from dvllm_gateway.state import (
    Database,
    LibraryTransactions,
    SqlAccountStore,
    SqlEventStore,
    SqlLeaseStore,
    SqlTaskStore,
    open_database,
)
from tests.support.anvil import development_account
from tests.support.worker_network import MODEL_ID, WorkerNetwork

GATEWAY = development_account(6)
ALICE = AccountId("alice")
BOB = AccountId("bob")


@dataclass(frozen=True)
class Where:
    """Everything a gateway process has to be told."""

    rpc_url: str
    ws_url: str | None
    coordinator: str
    content_port: int
    folder: Path
    database: str

    @property
    def client(self) -> ClientSettings:
        return ClientSettings(
            eth_node_url=self.rpc_url,
            contract_address=self.coordinator,
            ipfs_host="127.0.0.1",
            ipfs_port=self.content_port,
            ws_url=self.ws_url,
            poll_s=0.2,
        )

    def trade(self, database: Database) -> TradeSettings:
        return TradeSettings(
            outbox=LibraryTransactions(database),
            lock_dir=self.folder / "locks",
            sweep_every_s=0.5,
            till=TillSettings(look_every_s=0.5),
        )


def where(net: WorkerNetwork, **changes: Any) -> Where:
    folder = net.folder / "gateway"
    folder.mkdir(exist_ok=True)
    place = Where(
        rpc_url=net.anvil.url,
        ws_url=net.anvil.ws_url,
        coordinator=net.network.coordinator.address,
        content_port=int(net.server.api_url.rpartition(":")[2]),
        folder=folder,
        database=str(folder / "gateway.sqlite"),
    )
    return replace(place, **changes)


@dataclass
class TaskGateway:
    service: TaskService
    crew: TaskCrew
    bus: Bus
    desk: Desk
    store: SqlTaskStore
    accounts: SqlAccountStore
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def grant(self, account: AccountId, amount_wei: Wei) -> None:
        await self.accounts.grant(account, amount_wei, reason="for a test", at_ms=0)


@asynccontextmanager
async def task_gateway(
    place: Where,
    *,
    account: LocalAccount = GATEWAY,
    limits: TaskLimits | None = None,
    patience: TaskPatience | None = None,
    waits: bool = True,
) -> AsyncIterator[TaskGateway]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(place.database))
        desk = await stack.enter_async_context(
            open_desk(place.client, account, place.trade(database))
        )
        bus = Bus(SqlEventStore(database))
        live, store = LiveTasks(), SqlTaskStore(database)
        crew = TaskCrew(
            desk.address,
            desk.open_market,
            live,
            store,
            SqlLeaseStore(database),
            bus,
            patience or TaskPatience(submit_s=60, answer_s=30),
            lease_s=5.0,
        )
        service = TaskService(store, live, crew, limits or TaskLimits(live_per_account=1000))
        gateway = TaskGateway(service, crew, bus, desk, store, SqlAccountStore(database))
        async with asyncio.TaskGroup() as group:
            loops = [group.create_task(bus.run()), group.create_task(crew.run())]
            try:
                if waits:
                    async with asyncio.timeout(20):
                        await crew.on_duty()
                yield gateway
            finally:
                for loop in loops:
                    loop.cancel()


async def fund_gateway(net: WorkerNetwork, amount_wei: Wei | None = None) -> None:
    await net.give_tokens(Address(GATEWAY.address), amount_wei or tokens(1_000))


def request(text: str = "How do leases work?", *, max_tokens: int = 8, **more: Any) -> TaskRequest:
    document = chat_prompt(text, SamplingParameters(max_tokens=max_tokens))
    return TaskRequest(MODEL_ID, document, text, **more)
