"""The models at hand: fresh without a request ever waiting for the chain."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm.protocol.ids import Cid, ModelId
from dvllm_gateway.errors import ModelNotFound, NetworkUnavailable
from dvllm_gateway.services import model_catalogue
from dvllm_gateway.services.events import EventName, ModelRegistered, Payload
from dvllm_gateway.services.model_catalogue import ModelCatalogue
from dvllm_gateway.services.network import Model
from dvllm_gateway.services.ports import ModelUpload, PublishedModel
from tests.support.gateway_in_memory.facts import MODEL, OWNER, RESPONSE_CID
from tests.support.waiting import wait_until

SECOND = replace(MODEL, id=ModelId("second"), is_active=False)


class Registry:
    """`silent` makes it answer nothing."""

    def __init__(self, *models: Model) -> None:
        self.found = models
        self.silent = False
        self.n_read = 0

    async def revision(self) -> object:
        if self.silent:
            raise NetworkUnavailable("the chain does not answer")
        return len(self.found)

    async def models(self) -> tuple[Model, ...]:
        self.n_read += 1
        return self.found


class Desk:
    async def inspect(self, folder: Path) -> Cid:
        return RESPONSE_CID

    async def publish(self, upload: ModelUpload) -> PublishedModel:
        return PublishedModel(upload.model_id, RESPONSE_CID, None, None)


class Announcements:
    def __init__(self) -> None:
        self.made: list[tuple[EventName, Payload]] = []

    async def __call__(self, name: EventName, payload: Payload) -> None:
        self.made.append((name, payload))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_catalogue, "LOOK_EVERY_S", 0.01)


async def test_catalogue__chain_away_at_its_first_look__unavailable() -> None:
    registry = Registry(MODEL)
    registry.silent = True
    catalogue = ModelCatalogue(registry, Desk(), Announcements())
    running = asyncio.create_task(catalogue.run())
    with pytest.raises(NetworkUnavailable):
        await catalogue.list(active_only=False)
    with pytest.raises(NetworkUnavailable):
        await catalogue.get(MODEL.id)
    assert not catalogue.is_loaded
    running.cancel()


async def test_catalogue__never_looking__does_not_keep_anybody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_catalogue, "FIRST_LOOK_S", 0.01)
    catalogue = ModelCatalogue(Registry(MODEL), Desk(), Announcements())
    with pytest.raises(NetworkUnavailable):
        await catalogue.list(active_only=False)


async def test_catalogue__asked_before_its_first_look__waits_for_that() -> None:
    catalogue = ModelCatalogue(Registry(MODEL), Desk(), Announcements())
    asking = asyncio.create_task(catalogue.get(MODEL.id))
    await asyncio.sleep(0)
    running = asyncio.create_task(catalogue.run())
    assert await asking == MODEL
    running.cancel()


async def test_catalogue__loaded__lists_and_finds() -> None:
    catalogue = ModelCatalogue(Registry(MODEL, SECOND), Desk(), Announcements())
    await catalogue.load()
    assert await catalogue.list(active_only=False) == (MODEL, SECOND)
    assert await catalogue.list(active_only=True) == (MODEL,)
    assert await catalogue.get(SECOND.id) == SECOND
    with pytest.raises(ModelNotFound, match=f"Model '{'x' * 100}…' is not registered"):
        await catalogue.get(ModelId("x" * 10_000))
    with pytest.raises(ModelNotFound, match="Model 'third' is not registered"):
        await catalogue.get(ModelId("third"))


async def test_catalogue__new_registration__found_and_announced_once() -> None:
    registry, announcements = Registry(MODEL), Announcements()
    catalogue = ModelCatalogue(registry, Desk(), announcements)
    running = asyncio.create_task(catalogue.run())
    await wait_until(lambda: registry.n_read == 1, what="the first load")
    registry.found = (MODEL, SECOND)
    await wait_until(lambda: registry.n_read == 2, what="the second load")
    assert await catalogue.get(SECOND.id) == SECOND
    running.cancel()
    assert announcements.made == [(EventName.MODEL_REGISTERED, ModelRegistered(SECOND.id))]


async def test_catalogue__nothing_new__registry_not_read_again() -> None:
    registry = Registry(MODEL)
    catalogue = ModelCatalogue(registry, Desk(), Announcements())
    running = asyncio.create_task(catalogue.run())
    await asyncio.sleep(0.1)
    running.cancel()
    assert registry.n_read == 1


async def test_catalogue__a_while_later__read_again_for_what_no_revision_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model_catalogue, "REFRESH_EVERY_S", 0.02)
    registry = Registry(MODEL)
    catalogue = ModelCatalogue(registry, Desk(), Announcements())
    running = asyncio.create_task(catalogue.run())
    registry.found = (replace(MODEL, is_active=False),)
    await wait_until(lambda: registry.n_read > 1, what="another look")
    running.cancel()
    assert await catalogue.list(active_only=True) == ()


async def test_catalogue__chain_is_away__answers_from_what_it_has() -> None:
    registry = Registry(MODEL)
    catalogue = ModelCatalogue(registry, Desk(), Announcements())
    running = asyncio.create_task(catalogue.run())
    await wait_until(lambda: registry.n_read == 1, what="the first load")
    registry.silent = True
    catalogue.refresh_soon()
    await asyncio.sleep(0.05)
    assert await catalogue.get(MODEL.id) == MODEL
    registry.silent = False
    await wait_until(lambda: registry.n_read > 1, what="the load that was asked for")
    running.cancel()


async def test_catalogue__after_a_publication__looked_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(model_catalogue, "LOOK_EVERY_S", 60.0)
    registry = Registry()
    catalogue = ModelCatalogue(registry, Desk(), Announcements())
    running = asyncio.create_task(catalogue.run())
    await wait_until(lambda: registry.n_read == 1, what="the first load")
    registry.found = (MODEL,)
    await catalogue.publish(ModelUpload(MODEL.id, "n", "d", tmp_path, OWNER))
    await wait_until(lambda: registry.n_read == 2, what="the look after it")
    running.cancel()
    assert await catalogue.get(MODEL.id) == MODEL
