"""The registry's models, kept at hand: no request waits for the chain to hear of them."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from decentralized_vllm.protocol.ids import Cid, ModelId
from dvllm_gateway.errors import GatewayError, ModelNotFound, NetworkUnavailable
from dvllm_gateway.services.announcing import Announce
from dvllm_gateway.services.events import EventName, ModelRegistered
from dvllm_gateway.services.network import Model
from dvllm_gateway.services.ports import ModelUpload, PublishedModel

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
REFRESH_EVERY_S = 15.0
FIRST_LOOK_S = 5.0
SHOWN_CHARACTERS = 100  # of a name that is none; who asked for it knows the rest


class ModelSource(Protocol):
    """Raises NetworkUnavailable."""

    async def revision(self) -> object:
        """Cheap to ask, and another one after each registration and each new version."""

    async def models(self) -> tuple[Model, ...]:
        """All of them, in the order of registration."""


class ModelDesk(Protocol):
    """See ports.Models."""

    async def inspect(self, folder: Path) -> Cid: ...

    async def publish(self, upload: ModelUpload) -> PublishedModel: ...


class ModelCatalogue:
    """The port Models. `run` keeps it fresh; who asks before its first look waits for that.

    What a revision does not tell (a switched-off model, a version whose time has come) is seen
    within REFRESH_EVERY_S.
    """

    def __init__(self, source: ModelSource, desk: ModelDesk, announce: Announce) -> None:
        self._source = source
        self._desk = desk
        self._announce = announce
        self._all: tuple[Model, ...] | None = None
        self._active: tuple[Model, ...] = ()
        self._by_id: dict[ModelId, Model] = {}
        self._revision: object = None
        self._refreshed_at_s = 0.0
        self._wake = asyncio.Event()
        self._looked = asyncio.Event()

    @property
    def is_loaded(self) -> bool:
        return self._all is not None

    async def list(self, *, active_only: bool) -> tuple[Model, ...]:
        known = await self._known()
        return self._active if active_only else known

    async def get(self, model_id: ModelId) -> Model:
        await self._known()
        try:
            return self._by_id[model_id]
        except KeyError:
            is_long = len(model_id) > SHOWN_CHARACTERS
            shown = model_id[:SHOWN_CHARACTERS] + "…" if is_long else model_id
            raise ModelNotFound(f"Model {shown!r} is not registered") from None

    async def inspect(self, folder: Path) -> Cid:
        return await self._desk.inspect(folder)

    async def publish(self, upload: ModelUpload) -> PublishedModel:
        published = await self._desk.publish(upload)
        self.refresh_soon()
        return published

    def refresh_soon(self) -> None:
        """Somebody heard of a change, such as VersionAnnounced."""
        self._revision = None
        self._wake.set()

    async def load(self) -> None:
        """Raises NetworkUnavailable."""
        revision = await self._source.revision()
        models = await self._source.models()
        known, self._by_id = self._by_id, {model.id: model for model in models}
        is_first, self._all = self._all is None, models
        self._active = tuple(model for model in models if model.is_active)
        self._revision = revision
        self._refreshed_at_s = asyncio.get_running_loop().time()
        if not is_first:
            for model in models:
                if model.id not in known:
                    await self._announce(EventName.MODEL_REGISTERED, ModelRegistered(model.id))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if await self._is_stale():
                    await self.load()
            except GatewayError as error:
                log.warning("models wait for the chain: %s", error.message)
            self._looked.set()
            await self._rest()

    async def _known(self) -> tuple[Model, ...]:
        """Raises NetworkUnavailable where the registry was never read."""
        if self._all is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LOOK_S):
                    await self._looked.wait()
        if self._all is None:
            raise NetworkUnavailable("the registry was not read yet")
        return self._all

    async def _is_stale(self) -> bool:
        age_s = asyncio.get_running_loop().time() - self._refreshed_at_s
        if self._all is None or self._revision is None or age_s >= REFRESH_EVERY_S:
            return True
        return bool(await self._source.revision() != self._revision)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
