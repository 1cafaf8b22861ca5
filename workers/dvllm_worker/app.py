"""The composition root: reads the settings and builds one node out of its parts."""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from decentralized_vllm.chain.feed import FeedSettings, LogFeed
from decentralized_vllm.chain.log_source import coordinator_logs
from decentralized_vllm.process.stopping import StopSignals
from decentralized_vllm.protocol.events import VersionAnnounced
from dvllm_worker.clock import ChainClock
from dvllm_worker.content.arrivals import Arrivals
from dvllm_worker.content.prompts import PromptReader
from dvllm_worker.content.shelf import LocalShelf
from dvllm_worker.duty import Duty
from dvllm_worker.housekeeping import Earnings, Retention
from dvllm_worker.http.hub import JobHub
from dvllm_worker.journal.crash_points import CrashingJournal
from dvllm_worker.journal.sql_journal import SqlJournal
from dvllm_worker.journal.told import ToldJournal
from dvllm_worker.logs import JobLog, Onlookers
from dvllm_worker.models.cache import check_free_disk
from dvllm_worker.models.engine_room import EngineRoom, engine_builder
from dvllm_worker.models.served import ServedModel
from dvllm_worker.models.updates import UpdateFollower
from dvllm_worker.node import Loops, Node
from dvllm_worker.onchain import Desk, open_desk
from dvllm_worker.outages import Outages
from dvllm_worker.pipeline.admit import Admit
from dvllm_worker.pipeline.caretaker import Caretaker, CaretakerOptions
from dvllm_worker.pipeline.crew import Crew
from dvllm_worker.pipeline.fetch import Fetch
from dvllm_worker.pipeline.generate import Generate
from dvllm_worker.pipeline.identity import NodeIdentity
from dvllm_worker.pipeline.lease_run import Patience, Steps, Workshop
from dvllm_worker.pipeline.limits import Limits
from dvllm_worker.pipeline.ports import Journal
from dvllm_worker.pipeline.prospects import MarketRules
from dvllm_worker.pipeline.publish import Publish
from dvllm_worker.pipeline.submit import Submit
from dvllm_worker.pipeline.sweep import Sweep
from dvllm_worker.pipeline.watcher import Watcher
from dvllm_worker.reception import Reception
from dvllm_worker.resources.opening import NodeResources, open_resources
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.signing import KeySigner
from dvllm_worker.sources import Sources, open_model_cache, open_sources, probes_of
from dvllm_worker.suspension import Suspension

log = logging.getLogger(__name__)


async def run_worker(settings: WorkerSettings, stops: StopSignals) -> None:
    """Runs one node until it is told to stop. Raises SettingError, NotReady, ChainUnavailable."""
    check_free_disk(settings.data_dir)
    async with open_desk(settings) as desk:
        duty = Duty(desk)
        await duty.check_ready()
        if settings.node.resume_on_start and await duty.resume():
            log.info("the node takes duty again after a no-show")
        models = await duty.models_to_serve(reserve_s=settings.chain.reserve_s)
        async with (
            open_sources(settings) as sources,
            open_model_cache(settings, desk, sources.models, sources.own) as cache,
            asyncio.TaskGroup() as group,
        ):
            resources = await open_resources(settings, duty, cache)
            builder = engine_builder(settings.engine, desk.network.identity)
            engines = EngineRoom(group, cache, builder)
            suspension = Suspension(duty)
            assembly = _Assembly(settings, desk, sources, engines, resources, suspension, group)
            await assembly.run(models, duty, stops)


class _Assembly:
    """Puts the parts of one node together, inside an open chain, open stores and a task group."""

    def __init__(
        self,
        settings: WorkerSettings,
        desk: Desk,
        sources: Sources,
        engines: EngineRoom,
        resources: NodeResources,
        suspension: Suspension,
        group: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._network = desk.network
        self._sources = sources
        self._engines = engines
        self._resources = resources
        self._suspension = suspension
        self._group = group
        self._clock = ChainClock(desk.network.jobs)
        self._limits = Limits(self._clock)
        hub = JobHub()
        self._onlooker = Onlookers(JobLog(), hub)
        self._arrivals = Arrivals()
        self._outages = Outages(probes_of(sources), resources.allotment)
        self._identity = NodeIdentity(
            desk.address, desk.network.identity.chain_id, desk.network.coordinator.address
        )
        self._reception = Reception(
            settings,
            self._identity,
            sources,
            engines,
            resources,
            hub,
            self._arrivals,
            self._outages,
            suspension,
            desk,
        )

    async def run(self, models: Sequence[ServedModel], duty: Duty, stops: StopSignals) -> None:
        await self._clock.refresh()
        sql_journal = await self._loaded_journal()
        journal, admit = self._told(sql_journal), self._admit()
        crew = Crew(self._group, self._workshop(journal, admit))
        caretaker = self._caretaker(journal)
        sweep = Sweep(journal, admit, crew, caretaker, self._clock)
        follower = UpdateFollower(
            duty, self._engines, journal, self._clock, is_left=self._reception.is_left
        )
        watcher = Watcher(
            self._feed(await self._lookback_blocks(models)),
            self._network.jobs,
            journal,
            crew,
            caretaker,
            sweep,
            clock=self._clock,
            identity=self._identity,
            served=lambda: self._engines.served_cids,
            on_announced=follower.note if self._settings.models.follow_updates else _ignore,
        )
        node = Node(
            settings=self._settings,
            clock=self._clock,
            duty=duty,
            engines=self._engines,
            crew=crew,
            sweep=sweep,
            watcher=watcher,
            loops=self._loops(sql_journal, sweep, caretaker, follower, crew),
            models=models,
            allotment=self._resources.allotment,
            suspension=self._suspension,
        )
        async with self._reception.open(journal, crew) as listener:
            log.info("listening on http://%s:%d", self._settings.http.host, listener.port)
            with stops.listening():
                await node.run(self._group, stops)

    async def _loaded_journal(self) -> SqlJournal:
        return await SqlJournal(
            self._desk.database,
            chain_id=self._identity.chain_id,
            coordinator=self._identity.coordinator,
        ).load()

    def _admit(self) -> Admit:
        return Admit(
            self._network.jobs,
            clock=self._clock,
            me=self._desk.address,
            grace_s=self._network.clocks.grace_s,
        )

    def _told(self, journal: SqlJournal) -> Journal:
        fault_at = self._settings.fault_at
        mortal = CrashingJournal(journal, fault_at) if fault_at else journal
        return ToldJournal(mortal, self._onlooker)

    def _workshop(self, journal: Journal, admit: Admit) -> Workshop:
        sources, me, onlooker = self._sources, self._desk.address, self._onlooker
        shelf = LocalShelf(
            sources.own,
            sources.writer,
            [sources.mirror] if sources.mirror else [],
            self._outages,
        )
        prompts = PromptReader(
            sources.own,
            sources.writer,
            [sources.gateways],
            sources.gateways.answers,
            self._arrivals,
            self._outages,
        )
        steps = Steps(
            admit,
            Fetch(prompts),
            Generate(shelf, KeySigner(self._desk.account), onlooker, me=me),
            Publish(shelf),
            Submit(self._network.node_calls, self._desk.sender),
        )
        patience = Patience(
            fetch_s=self._settings.content.fetch_timeout_s,
            engine_s=self._settings.limits.engine_wait_s,
            reserve_s=self._settings.chain.reserve_s,
        )
        return Workshop(
            steps,
            journal,
            self._engines,
            onlooker,
            self._clock,
            patience,
            self._limits,
            self._resources.gate,
        )

    def _caretaker(self, journal: Journal) -> Caretaker:
        node, clocks = self._settings.node, self._network.clocks
        return Caretaker(
            self._network.jobs,
            self._network.node_calls,
            self._desk.sender,
            journal,
            self._desk,
            self._clock,
            identity=self._identity,
            rules=MarketRules(clocks.grace_s, clocks.max_attempts),
            options=CaretakerOptions(
                takes=node.take_jobs,
                expires=node.expire_overdue,
                n_slots=lambda: self._suspension.left_of(self._resources.allotment.slots_on_offer),
                jitter_s=node.take_jitter_s,
                token_value_wei=node.token_value_wei,
            ),
            random=random.random,
        )

    async def _lookback_blocks(self, models: Sequence[ServedModel]) -> int:
        """A node's first start looks at every job that can still be alive."""
        coordinator = self._network.coordinator
        lives_s = [await coordinator.max_job_life_s(model.version) for model in models]
        return math.ceil(max(lives_s) / self._settings.chain.block_time_s)

    def _feed(self, lookback_blocks: int) -> LogFeed:
        chain = self._settings.chain
        return LogFeed(
            rpc=self._network.rpc,
            hints=self._network.hints,
            database=self._desk.database,
            chain=str(self._network.identity),
            source=coordinator_logs(self._network.coordinator.address),
            name=f"node {self._desk.address[:10]}",
            settings=FeedSettings(
                confirmations=chain.confirmations,
                poll_s=chain.poll_s,
                lookback_blocks=lookback_blocks,
            ),
        )

    def _loops(
        self,
        journal: SqlJournal,
        sweep: Sweep,
        caretaker: Caretaker,
        follower: UpdateFollower,
        crew: Crew,
    ) -> Loops:
        settings, clock = self._settings, self._clock
        earnings = Earnings(self._desk, clock)
        retention = Retention(
            self._sources.own,
            journal,
            keep_s=2 * self._network.clocks.epoch_s + settings.content.keep_s,
        )
        side: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("chain clock", partial(clock.run, every_s=settings.chain.poll_s)),
            ("limits", self._limits.run),
            ("sweep", partial(sweep.run, interval_s=settings.limits.sweep_every_s)),
            ("caretaker", caretaker.run),
            ("retention", partial(retention.run, clock)),
            ("updates", follower.run),
            ("given up", self._reception.give_up_models),
            ("outages", self._outages.run),
            ("suspension", self._suspension.run),
            ("slots", partial(self._resources.allotment.follow, lambda: crew.is_draining)),
        ]
        if settings.node.settle_every_s:
            side.append(("earnings", partial(earnings.run, every_s=settings.node.settle_every_s)))
        return Loops(side)


def _ignore(_: VersionAnnounced) -> None:
    """For operators who choose their versions themselves."""
