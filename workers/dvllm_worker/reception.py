"""The node's one listener, put together: what it offers, to whom, and what it tells of itself."""

import time
from collections.abc import Sequence
from importlib.metadata import version as package_version

from decentralized_vllm.content.server.gateway import gateway_routes
from decentralized_vllm.content.server.guard import CONNECTIONS_PER_HOST
from decentralized_vllm.protocol.ids import Address, ModelId
from dvllm_worker.content.arrivals import Arrivals
from dvllm_worker.http.blocks import BlockDoor
from dvllm_worker.http.callers import Callers, authorities
from dvllm_worker.http.events import EventStream
from dvllm_worker.http.hub import JobHub
from dvllm_worker.http.jobs import JobsSoonKnown
from dvllm_worker.http.listener import Listener, worker_app
from dvllm_worker.http.nonces import NonceBook
from dvllm_worker.http.orders import OrderDoor
from dvllm_worker.http.owners import Owners
from dvllm_worker.http.resources import ResourceDoor
from dvllm_worker.http.resume import ResumeDoor
from dvllm_worker.http.status import NodeStatus, StatusPage, model_status
from dvllm_worker.models.engine_room import EngineRoom
from dvllm_worker.office.at_work import Work, WorkerEnlistment
from dvllm_worker.office.orders import Offices
from dvllm_worker.office.treasury import Treasury
from dvllm_worker.onchain import Desk
from dvllm_worker.outages import Outages
from dvllm_worker.pipeline.crew import Crew
from dvllm_worker.pipeline.identity import NodeIdentity
from dvllm_worker.pipeline.ports import Journal
from dvllm_worker.pipeline.stages import Stage
from dvllm_worker.resources.opening import NodeResources
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.sources import Sources
from dvllm_worker.suspension import Suspension

# One gateway may be the requester of every lease: it listens, hands over the prompt, and reads.
CONNECTIONS_PER_SLOT = 4


class Reception:
    def __init__(
        self,
        settings: WorkerSettings,
        identity: NodeIdentity,
        sources: Sources,
        engines: EngineRoom,
        resources: NodeResources,
        hub: JobHub,
        arrivals: Arrivals,
        outages: Outages,
        suspension: Suspension,
        desk: Desk,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._sources = sources
        self._engines = engines
        self._resources = resources
        self._hub = hub
        self._arrivals = arrivals
        self._outages = outages
        self._suspension = suspension
        self._desk = desk
        self._enlistment: WorkerEnlistment | None = None
        self._started_s = time.monotonic()

    def open(self, journal: Journal, crew: Crew) -> Listener:
        http = self._settings.http
        names = authorities(http.host, http.port, self._settings.node.endpoint, http.public_names)
        callers = Callers(names, NonceBook())
        jobs = JobsSoonKnown(journal, self._hub)
        me, managers = self._identity.address, map(Address, self._settings.node.managers)
        node_itself = Owners(callers, (me,))
        self._enlistment = WorkerEnlistment(self._desk, self._work(journal, crew, names))
        offices = Offices(Treasury(self._desk), self._enlistment)
        app = worker_app(
            gateway_routes(self._sources.offered),
            BlockDoor(jobs, self._sources.own, self._arrivals),
            EventStream(jobs, self._hub, callers),
            StatusPage(lambda: self._status(journal, crew)),
            ResourceDoor(
                self._resources.allotment, self._resources.meter, Owners(callers, (me, *managers))
            ),
            ResumeDoor(self._suspension.end, node_itself),
            OrderDoor(lambda order: order.done_by(offices), node_itself),
        )
        return Listener(
            app,
            host=http.host,
            port=http.port,
            connections_per_host=CONNECTIONS_PER_HOST
            + CONNECTIONS_PER_SLOT * self._resources.allotment.slots,
        )

    def is_left(self, model_id: ModelId) -> bool:
        """The operator had this node leave the model."""
        return self._enlistment is not None and self._enlistment.is_left(model_id)

    async def give_up_models(self) -> None:
        """That the operator had this node leave; until cancelled, once it is open."""
        assert self._enlistment is not None
        await self._enlistment.run()

    def _work(self, journal: Journal, crew: Crew, names: Sequence[str]) -> Work:
        return Work(
            self._engines,
            self._resources.allotment,
            journal.open_rows,
            lambda: crew.is_draining,
            names,
            self._settings.models_dir,
            self._settings.models.follow_updates,
            self._settings.node.pause_when_stopped,
        )

    def _status(self, journal: Journal, crew: Crew) -> NodeStatus:
        rows = journal.open_rows()
        slots = self._suspension.left_of(self._resources.allotment.slots_on_offer)
        parts = (self._suspension, self._outages, self._resources.allotment)
        return NodeStatus(
            version=package_version("decentralized-vllm-worker"),
            node=self._identity.address,
            chain_id=self._identity.chain_id,
            coordinator=self._identity.coordinator,
            slots=slots,
            free_slots=max(0, slots - crew.n_running),
            queue=sum(row.stage is Stage.SEEN for row in rows),
            is_draining=crew.is_draining,
            paused_because="; ".join(filter(None, [part.why_paused for part in parts])) or None,
            uptime_s=int(time.monotonic() - self._started_s),
            models=[model_status(bench) for bench in self._engines.benches],
        )
