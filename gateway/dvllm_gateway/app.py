"""The composition root: reads the settings and builds one gateway out of its parts."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from decentralized_vllm.process.garbage import keep_what_is_built
from decentralized_vllm.process.own_key import check_key_may_be_raw, load_key
from decentralized_vllm.process.stopping import StopSignals
from decentralized_vllm.process.supervision import keep_running
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.requester.purse import balance_of
from dvllm_gateway.access import api_keys, authentication, rate_limits
from dvllm_gateway.apis import Apis
from dvllm_gateway.http.metrics import Metrics
from dvllm_gateway.http.options import HttpOptions
from dvllm_gateway.market.desk import Desk, open_desk
from dvllm_gateway.market.wallet_contracts import ContractWallets
from dvllm_gateway.services.credit import PrepaidCredit
from dvllm_gateway.services.event_bus import Bus
from dvllm_gateway.services.idempotency import StoredIdempotency
from dvllm_gateway.services.live_tasks import LiveTasks
from dvllm_gateway.services.network import Health
from dvllm_gateway.services.origins import PublicOrigins
from dvllm_gateway.services.ports import Core
from dvllm_gateway.services.retention import Retention
from dvllm_gateway.services.task_crew import TaskCrew
from dvllm_gateway.services.task_service import TaskService
from dvllm_gateway.serving import Dialects, Serving, administered, own_origins, trusted_proxies
from dvllm_gateway.settings import GatewaySettings
from dvllm_gateway.state import (
    Database,
    SqlAccountStore,
    SqlEventStore,
    SqlIdempotencyStore,
    SqlLeaseStore,
    SqlOldTasks,
    SqlTaskStore,
    open_database,
)
from dvllm_gateway.surroundings import Loops, Surroundings, open_surroundings
from dvllm_gateway.trading import (
    bus_settings,
    client_settings,
    kept,
    takings,
    task_limits,
    trade_settings,
)

log = logging.getLogger(__name__)

READ_CREDIT_EVERY_S = 15.0
WEI_PER_TOKEN = 10**18


async def run_gateway(settings: GatewaySettings, stops: StopSignals) -> None:
    """Serves until it is told to stop. Raises SettingError and its kinds, and ChainUnavailable."""
    is_serving = asyncio.Event()
    with stops.listening():
        await _unless(_broken_off(stops, is_serving), _run(settings, stops, is_serving))
    log.info("stopped")


async def _broken_off(stops: StopSignals, is_serving: asyncio.Event) -> None:
    """Returns when there is nothing to drain any more, or nothing yet: a start may wait long."""
    await stops.drain.wait()
    if is_serving.is_set():
        await stops.at_once.wait()


async def _run(settings: GatewaySettings, stops: StopSignals, is_serving: asyncio.Event) -> None:
    options = HttpOptions(
        trusted_proxies=trusted_proxies(settings), logs_requests=settings.log_requests
    )
    readiness = Readiness(stops)
    async with (
        administered(settings, options, readiness) as admin_url,
        open_gateway(settings, options.metrics) as gateway,
    ):
        readiness.gateway = gateway
        serving = Serving(settings, gateway.core, gateway.dialects, options, gateway.live.leave_all)
        async with serving.open(admin_url) as addresses:
            keep_what_is_built()
            is_serving.set()
            log.info("listening", extra=asdict(addresses))
            await stops.drain.wait()
            log.info("draining")


async def _unless(stop: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` to its end, or breaks it off when `stop` returns."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop)
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))
    if not working.cancelled():
        working.result()


class Readiness:
    """Whether balancers should send requests here, and if not, why."""

    def __init__(self, stops: StopSignals) -> None:
        self._stops = stops
        self.gateway: Gateway | None = None

    async def __call__(self) -> str | None:
        if self._stops.drain.is_set():
            return "stopping"
        if self.gateway is None:
            return "starting"
        health = self.gateway.surroundings.health
        if health.health is Health.UNHEALTHY:
            return f"no answer from: {', '.join(sorted(health.silent))}"
        if not self.gateway.surroundings.catalogue.is_loaded:
            return "the model registry was not read yet"
        if not self.gateway.crew.is_on_duty:
            return "the gateway's key is held by another process, or the chain was not reached yet"
        return None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything but the listeners."""

    core: Core
    dialects: Dialects
    crew: TaskCrew
    live: LiveTasks
    surroundings: Surroundings


@asynccontextmanager
async def open_gateway(settings: GatewaySettings, metrics: Metrics) -> AsyncIterator[Gateway]:
    """Opens database, chain and stores, and runs what goes on in the background.

    Raises SettingError and its kinds, and ChainUnavailable.
    """
    account = load_key(settings.key)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database_location))
        desk = await stack.enter_async_context(
            open_desk(client_settings(settings), account, trade_settings(settings, database))
        )
        check_key_may_be_raw(settings.key, desk.network.identity.chain_id)
        bus = Bus(SqlEventStore(database), bus_settings(settings))
        around = await stack.enter_async_context(open_surroundings(settings, database, desk, bus))
        building = _Building(settings, database, desk, bus, around, metrics)
        core = await building.core(stack)
        apis = Apis(settings, core, building.takings)
        loops: Loops = {**building.loops, **around.loops, **apis.loops}
        dialects = Dialects(apis.dvllm, (apis.openai,))
        gateway = Gateway(core, dialects, building.crew, building.live, around)
        async with _running(loops):
            yield gateway


class _Building:
    """Puts the core together over what is open."""

    def __init__(
        self,
        settings: GatewaySettings,
        database: Database,
        desk: Desk,
        bus: Bus,
        around: Surroundings,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._database = database
        self._desk = desk
        self._bus = bus
        self._around = around
        self._metrics = metrics
        self.takings = takings(settings, desk, database)
        self.live = LiveTasks()
        self._retention = Retention(SqlOldTasks(database), kept(settings))
        self._idempotency = StoredIdempotency(SqlIdempotencyStore(database))
        self._store = SqlTaskStore(database)
        self.crew = TaskCrew(
            desk.address,
            self.takings.open_market,
            self.live,
            self._store,
            SqlLeaseStore(database),
            bus,
        )
        metrics.open_tasks.set_function(lambda: len(self.live))

    @property
    def loops(self) -> Loops:
        return {
            "events": self._bus.run,
            "tasks": self.crew.run,
            "credit": self._read_credit,
            "idempotency": self._idempotency.run,
            "retention": self._retention.run,
        }

    async def core(self, stack: AsyncExitStack) -> Core:
        settings, database, around = self._settings, self._database, self._around
        keys = api_keys(settings, database)
        network = self._desk.network
        return Core(
            tasks=TaskService(self._store, self.live, self.crew, task_limits(settings)),
            models=around.catalogue,
            network=around.network,
            resources=around.resources,
            keys=keys,
            auth=authentication(
                settings,
                database,
                keys,
                ContractWallets(network.rpc),
                PublicOrigins.of(own_origins(settings)),
                chain_id=network.identity.chain_id,
                owner=around.registry.owner,
            ),
            credit=PrepaidCredit(SqlAccountStore(database)),
            limits=await stack.enter_async_context(rate_limits(settings.limits)),
            events=self._bus,
            idempotency=self._idempotency,
            payments=self.takings.payments() if settings.x402.enabled else None,
        )

    async def _read_credit(self) -> None:
        while True:
            try:
                balance = await balance_of(self._desk.network, self._desk.address)
                self._metrics.credit.set(balance.credit_wei / WEI_PER_TOKEN)
            except DvllmError as error:
                log.info("credit not read", extra={"reason": error.message})
            await asyncio.sleep(READ_CREDIT_EVERY_S)


@asynccontextmanager
async def _running(loops: Loops) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(keep_running(name, loop), name=name) for name, loop in loops.items()
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
