"""Follows a served model to its next version: fetch first, then change lists and engine."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.events import VersionAnnounced
from decentralized_vllm.protocol.ids import Cid, ModelId, VersionNumber
from decentralized_vllm.protocol.ports import Clock
from dvllm_worker.models.served import ServedModel
from dvllm_worker.pipeline.ports import Journal
from dvllm_worker.pipeline.stages import HELD

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
RETRY_S = 60.0


class VersionLists(Protocol):
    async def served_models(self) -> Sequence[ServedModel]:
        """The versions that the node is on the list of, of all models."""

    async def join(self, version: VersionNumber) -> int: ...

    async def leave(self, version: VersionNumber) -> None: ...


class Engines(Protocol):
    def serving(self, model_id: str) -> Sequence[ServedModel]: ...

    async def prefetch(self, model: ServedModel) -> None: ...

    def serve(self, model: ServedModel) -> None: ...

    async def retire(self, model: ServedModel) -> None: ...

    async def first_started(self) -> None: ...


class UpdateFollower:
    """One update at a time. The old version is served until its last lease is answered.

    `is_left`: the operator had the node leave the model, which may end later than that.
    """

    def __init__(
        self,
        lists: VersionLists,
        engines: Engines,
        journal: Journal,
        clock: Clock,
        *,
        is_left: Callable[[ModelId], bool],
    ) -> None:
        self._lists = lists
        self._engines = engines
        self._journal = journal
        self._clock = clock
        self._is_left = is_left
        self._announced: asyncio.Queue[VersionAnnounced] = asyncio.Queue()

    def note(self, event: VersionAnnounced) -> None:
        """A feed may tell old announcements again; versions are numbered as they come."""
        if 0 < self._newest_served(event.model_id) < event.version:
            self._announced.put_nowait(event)

    async def run(self) -> None:
        while True:
            event = await self._announced.get()
            try:
                if event.version >= self._newest_served(event.model_id):
                    await self._follow(event)
            except DvllmError as error:
                log.error("version %d is not served yet: %s", event.version, error)
                await self._clock.sleep_s(RETRY_S)
                self._announced.put_nowait(event)

    def _newest_served(self, model_id: ModelId) -> int:
        return max((model.version for model in self._engines.serving(model_id)), default=0)

    async def _follow(self, event: VersionAnnounced) -> None:
        """Each step may be done again after a failure."""
        new = ServedModel(event.version, event.model_id, event.model_cid)
        log.info("version %d of %s is announced", new.version, new.model_id)
        await self._engines.prefetch(new)
        while self._clock.now_s() < event.serves_from_s:
            await self._clock.sleep_s(LOOK_EVERY_S)
        if self._is_left(event.model_id):
            return
        await self._give_up(await self._before(new), new)
        if self._is_left(event.model_id):
            return
        self._engines.serve(new)
        await self._engines.first_started()
        await self._lists.join(new.version)
        log.info("version %d of %s is served", new.version, new.model_id)

    async def _before(self, new: ServedModel) -> Sequence[ServedModel]:
        """By the chain, too: of versions that have the same bytes one alone has an engine."""
        own = self._engines.serving(new.model_id)
        further = [model for model in await self._lists.served_models() if model not in own]
        known = [model for model in (*own, *further) if model.model_id == new.model_id]
        return [model for model in known if model.version < new.version]

    async def _give_up(self, olds: Sequence[ServedModel], new: ServedModel) -> None:
        for old in olds:
            await self._lists.leave(old.version)
            if old.model_cid != new.model_cid:
                await self._finish(old.model_cid)
                await self._engines.retire(old)

    async def _finish(self, model_cid: Cid) -> None:
        while any(
            row.stage in HELD and row.request.model_cid == model_cid
            for row in self._journal.open_rows()
        ):
            await self._clock.sleep_s(LOOK_EVERY_S)
