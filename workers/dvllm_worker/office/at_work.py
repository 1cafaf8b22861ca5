"""Profile and lists as the worker that runs changes them: it minds its engines and its leases."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from decentralized_vllm.protocol.errors import DvllmError, EngineUnavailable, SettingError
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.models import ModelVersion
from decentralized_vllm.protocol.nodes import NodeProfile, RegisteredNode
from dvllm_worker.duty import NotReady
from dvllm_worker.models.engine_room import Bench, EngineRoom
from dvllm_worker.models.served import ServedModel
from dvllm_worker.office.enlistment import Enlistment, ProfileWish
from dvllm_worker.office.treasury import Told
from dvllm_worker.onchain import Desk
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import HELD, Stage
from dvllm_worker.resources.allotment import Allotment

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Work:
    """What a running worker does beside orders.

    `names` are the authorities it answers to, `open_rows` the jobs that are not over.
    """

    engines: EngineRoom
    allotment: Allotment
    open_rows: Callable[[], Sequence[JobRow]]
    is_draining: Callable[[], bool]
    names: Collection[str]
    models_dir: Path
    follows_updates: bool
    pauses_when_stopped: bool


class WorkerEnlistment(Enlistment):
    """Of the worker that runs: it joins only what it has an engine for, and ends the engine of a
    model that it left once the last lease of that is answered."""

    def __init__(self, desk: Desk, work: Work) -> None:
        super().__init__(desk)
        self._work = work
        self._leaving: set[ServedModel] = set()
        self._left: set[ModelId] = set()

    def is_left(self, model_id: ModelId) -> bool:
        """By an order, with no order since to serve it again."""
        return model_id in self._left

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except DvllmError as error:
                log.warning("a model is not given up yet: %s", error)

    async def look(self) -> None:
        """Gives up what was left and is needed no more. Raises what the sender raises."""
        async with self._turn:
            for model in tuple(self._leaving):
                await self._give_up(model)

    # ------------------------------------------------------------ profile

    def _profile(self, wish: ProfileWish, known: RegisteredNode) -> NodeProfile:
        self._check_stays()
        self._check_endpoint(wish, known.profile)
        self._check_slots(wish)
        on_offer = self._work.allotment.slots_on_offer
        return wish.over(
            known.profile, slots=known.profile.slots if known.is_registered else on_offer
        )

    async def _told_profile(self) -> None:
        """A pause, or its end, may have been overtaken by slots that were read before it."""
        if self._work.is_draining():
            if self._work.pauses_when_stopped:
                await self._duty.set_slots(0)
        elif self._starting() is None:
            await self._work.allotment.offer()

    def _check_endpoint(self, wish: ProfileWish, known: NodeProfile) -> None:
        if not wish.endpoint or wish.endpoint == known.endpoint:
            return
        if _authority(wish.endpoint) not in {name.lower() for name in self._work.names}:
            raise SettingError(
                "node.endpoint",
                f"the running worker refuses requests that are signed for {wish.endpoint}",
                hint="set it in the worker's settings, start the worker again, then register",
            )

    def _check_slots(self, wish: ProfileWish) -> None:
        n_own = self._work.allotment.slots
        if wish.slots not in (None, n_own):
            raise SettingError(
                "node.slots",
                f"the running worker has {n_own} slots, which are its own to offer",
                hint="set it and start the worker again; `POST /resources` allots less at once",
            )

    # ------------------------------------------------------------ models

    async def _joined(self, version: ModelVersion) -> Told:
        self._check_stays()
        self._check_engine(version)
        node = await self._desk.node()
        if node.slots == 0 and not node.is_suspended:
            raise NotReady("the node offers no slots now", hint="`worker status` tells why")
        await self._duty.join(version.number)
        self._leaving = {each for each in self._leaving if each.model_cid != version.model_cid}
        self._left.discard(version.model_id)
        return {"path": str(self._work.models_dir / version.model_cid), "is_running": True}

    async def _models(self) -> Sequence[ServedModel]:
        """Also what it has an engine for: it may have left the list in a call that broke off."""
        joined = await self._duty.served_models()
        own = [bench.model for bench in self._work.engines.benches]
        return [*joined, *(model for model in own if model not in joined)]

    async def _leave(self, models: Sequence[ServedModel]) -> None:
        self._check_stays()
        if (waiting := self._starting()) is not None:
            _refuse_until_started(waiting)
        for model in models:
            await self._check_not_moving(model.model_id, models)
        self._left.update(model.model_id for model in models)
        await super()._leave(models)
        self._leaving.update(models)

    async def _give_up(self, model: ServedModel) -> None:
        joined = await self._duty.served_models()
        again = [each for each in joined if each.model_id == model.model_id]
        await super()._leave(again)  # a start or an update that was under way had joined it
        self._leaving.update(again)
        if self._is_held(model, (await self._desk.node()).n_in_flight):
            return
        self._leaving.discard(model)
        if any(each.model_cid == model.model_cid for each in joined if each not in again):
            return  # another model has the same bytes
        for bench in self._work.engines.benches:
            if bench.model.model_cid == model.model_cid:
                await self._work.engines.retire(bench.model)
                log.info("%s is no longer served", model.model_id)

    def _is_held(self, model: ServedModel, n_in_flight: int) -> bool:
        """Or may be: the journal hears of a lease later than the chain knows of it."""
        rows = self._work.open_rows()
        held = [row for row in rows if row.stage in HELD | {Stage.TAKING}]
        is_own = any(row.request.model_cid == model.model_cid for row in held)
        return is_own or n_in_flight > len(held)

    # ------------------------------------------------------------ refusals

    def _starting(self) -> Bench | None:
        benches = self._work.engines.benches
        return next((bench for bench in benches if not bench.is_started.is_set()), None)

    def _check_stays(self) -> None:
        if self._work.is_draining():
            raise NotReady("the worker is stopping", hint="try again once it has stopped")

    def _check_engine(self, version: ModelVersion) -> None:
        if (waiting := self._starting()) is not None:
            _refuse_until_started(waiting)
        cids = {bench.model.model_cid for bench in self._work.engines.benches}
        if version.model_cid not in cids:
            raise NotReady(
                f"the running worker has no engine for {version.model_id} "
                f"(version {version.number}), and gets one when it starts",
                hint=f"stop it, run `worker serve-model {version.model_id}`, start it again",
            )

    async def _check_not_moving(self, model_id: ModelId, models: Sequence[ServedModel]) -> None:
        """An update that is under way would join again what is left now."""
        if not self._work.follows_updates:
            return
        known = await self._desk.network.coordinator.current_version(model_id)
        newest = known.announced or known.current
        if newest > max(each.version for each in models if each.model_id == model_id):
            raise NotReady(
                f"the running worker is on its way to version {newest} of {model_id}",
                hint="try again when it serves that, or stop the worker first",
            )


def _refuse_until_started(bench: Bench) -> NoReturn:
    raise EngineUnavailable(
        f"the engine of {bench.model.model_id} is not up: {bench.why_down}",
        hint="try again when it is, or stop the worker first",
    )


def _authority(endpoint: str) -> str:
    """Empty for what is no URL."""
    try:
        return urlsplit(endpoint).netloc.lower()
    except ValueError:
        return ""
