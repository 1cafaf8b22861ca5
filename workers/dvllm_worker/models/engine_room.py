"""Brings up an engine for each model that the node serves, and hands it to the pipeline."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from decentralized_vllm.chain.identity import ChainIdentity
from decentralized_vllm.protocol.errors import (
    DvllmError,
    EngineUnavailable,
    SettingError,
    UnsafeModel,
)
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.engines.factory import BuiltEngine, build_engine
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.models.cache import ModelCache
from dvllm_worker.models.served import ServedModel
from dvllm_worker.pipeline.speed import Pace, SpeedBook

log = logging.getLogger(__name__)

FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 120.0
PROGRESS_STEP = 0.05

BuildEngine = Callable[[Path, ServedModel], BuiltEngine]


def engine_builder(settings: EngineSettings, chain: ChainIdentity) -> BuildEngine:
    """Of engines as the settings want them, for a model's directory."""

    def build(path: Path, model: ServedModel) -> BuiltEngine:
        return build_engine(
            settings,
            model_path=path,
            model_name=model.model_id,
            is_local_chain=chain.is_local,
        )

    return build


@dataclass(slots=True)
class Bench:
    """One model's place in the room. `why_down` is for whoever waits in vain."""

    model: ServedModel
    engine: BuiltEngine | None = None
    is_started: asyncio.Event = field(default_factory=asyncio.Event)
    speeds: SpeedBook = field(default_factory=SpeedBook)
    why_down: str = "its model is being fetched"


class EngineRoom:
    """A started engine keeps itself alive; until it has started once, it is tried again here.

    What no further try could mend (a wrong setting, a model that is not safe) ends the group, and
    with it the process: at its start always, later unless there are other engines to go on with.
    """

    def __init__(self, group: asyncio.TaskGroup, cache: ModelCache, build: BuildEngine) -> None:
        self._group = group
        self._cache = cache
        self._build = build
        self._benches: dict[Cid, Bench] = {}
        self._tasks: dict[Cid, asyncio.Task[None]] = {}
        self._is_opened = False

    @property
    def served_cids(self) -> frozenset[Cid]:
        return frozenset(self._benches)

    @property
    def benches(self) -> Sequence[Bench]:
        return tuple(self._benches.values())

    def serve(self, model: ServedModel) -> None:
        """Begins to fetch and start; returns at once. A new price of the same bytes is noted."""
        known = self._benches.get(model.model_cid)
        if known is not None:
            if known.model.model_id == model.model_id:
                known.model = max(known.model, model, key=lambda each: each.version)
            return
        bench = self._benches[model.model_cid] = Bench(model)
        self._tasks[model.model_cid] = self._group.create_task(
            self._run(bench), name=f"engine of {model.model_id}"
        )

    def serving(self, model_id: str) -> Sequence[ServedModel]:
        return [bench.model for bench in self.benches if bench.model.model_id == model_id]

    async def prefetch(self, model: ServedModel) -> None:
        """Raises what the cache raises."""
        await self._cache.ensure(model, progress=LoggedProgress(model.model_id))

    async def retire(self, model: ServedModel) -> None:
        """Ends a model's engine and forgets it."""
        task = self._tasks.pop(model.model_cid, None)
        self._benches.pop(model.model_cid, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def first_started(self) -> None:
        """Returns when every model served now has its engine."""
        for bench in self.benches:
            await bench.is_started.wait()
        self._is_opened = True

    async def stop(self) -> None:
        """Ends all engines."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def engine_for(self, model_cid: Cid, *, timeout_s: float) -> BuiltEngine:
        bench = self._benches.get(model_cid)
        if bench is None:
            raise EngineUnavailable("this node does not serve the model")
        try:
            async with asyncio.timeout(timeout_s):
                await bench.is_started.wait()
        except TimeoutError:
            raise EngineUnavailable(f"the engine is not up: {bench.why_down}") from None
        assert bench.engine is not None
        return bench.engine

    def estimate_s(self, model_cid: Cid, max_tokens: int) -> float:
        bench = self._benches.get(model_cid)
        return bench.speeds.estimate_s(max_tokens) if bench else 0.0

    def note_pace(self, model_cid: Cid, pace: Pace) -> None:
        bench = self._benches.get(model_cid)
        if bench is not None:
            bench.speeds.add(pace)

    async def _run(self, bench: Bench) -> None:
        model = bench.model
        with self._cache.holding(model.model_cid):
            n_failures = 0
            while not bench.is_started.is_set():
                try:
                    await self._start(bench)
                except DvllmError as error:
                    bench.why_down = error.message
                    n_failures += 1
                    wait_s = min(FIRST_RETRY_S * 2 ** (n_failures - 1), LONGEST_RETRY_S)
                    log.error("%s is not served yet: %s", model.model_id, error)
                    if isinstance(error, SettingError | UnsafeModel) and not self._goes_on():
                        raise
                    await asyncio.sleep(wait_s)
            try:
                await asyncio.Event().wait()  # until cancelled
            finally:
                assert bench.engine is not None
                await bench.engine.stop()

    def _goes_on(self) -> bool:
        return self._is_opened and any(bench.is_started.is_set() for bench in self.benches)

    async def _start(self, bench: Bench) -> None:
        model = bench.model
        path = await self._cache.ensure(model, progress=LoggedProgress(model.model_id))
        bench.why_down = "it is loading the model"
        engine = self._build(path, model)
        try:
            await engine.start()
        except BaseException:
            await engine.stop()
            raise
        bench.engine = engine
        bench.is_started.set()
        log.info("%s is served by %s", model.model_id, engine.identity().name)


class LoggedProgress:
    """Says how a model's fetch goes on, a line per twentieth."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = 0.0

    def __call__(self, n_done: int, n_all: int | None) -> None:
        if not n_all:
            return
        share = n_done / n_all
        if share >= self._told + PROGRESS_STEP or (n_done == n_all and self._told < 1):
            self._told = share
            log.info("%s: %.0f %% of %.2f GB fetched", self._name, 100 * share, n_all / 1e9)
