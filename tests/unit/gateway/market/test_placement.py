"""When a submission waits for its prompt to be in the store, and when it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from decentralized_vllm.protocol.errors import ContentUnavailable, SettingError
from decentralized_vllm.protocol.ids import Cid
from dvllm_gateway.market.placement import Placement, PromptPlacer

DOCUMENT = b'{"prompt":"hello"}'


class Store:
    """Fails with each of `failures` in turn; nothing is taken while it is not `open`."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.open = asyncio.Event()
        self.open.set()
        self.failed = asyncio.Event()
        self.taken: asyncio.Queue[bytes] = asyncio.Queue()

    async def add_bytes(self, data: bytes) -> Cid:
        await self.open.wait()
        if self.failures:
            self.failed.set()
            raise self.failures.pop(0)
        self.taken.put_nowait(data)
        return Cid("bafy")


@asynccontextmanager
async def begun(placer: PromptPlacer) -> AsyncIterator[Placement]:
    placement = placer.begin(DOCUMENT)
    try:
        async with asyncio.timeout(10):
            yield placement
    finally:
        placement.end()


async def trusted(store: Store) -> PromptPlacer:
    """A placer whose store has just taken something."""
    placer = PromptPlacer(store)
    async with begun(placer) as placement:
        await placement.expected()
    await store.taken.get()
    return placer


async def test_expected__store_of_which_nothing_is_known__waits_until_it_has_the_prompt() -> None:
    store = Store()
    store.open.clear()
    async with begun(PromptPlacer(store)) as placement:
        waiting = asyncio.create_task(placement.expected())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        store.open.set()
        await waiting
        assert placement.is_there
        assert await store.taken.get() == DOCUMENT


async def test_expected__store_that_took_the_last_one__does_not_wait() -> None:
    store = Store()
    placer = await trusted(store)
    store.open.clear()
    async with begun(placer) as placement:
        await placement.expected()
        assert not placement.is_there
        store.open.set()
        assert await store.taken.get() == DOCUMENT


async def test_placement__store_fails_behind_it__goes_on_until_it_is_there() -> None:
    store = Store()
    placer = await trusted(store)
    store.failures = [ContentUnavailable("away"), ContentUnavailable("still away")]
    async with begun(placer) as placement:
        await placement.expected()
        assert await store.taken.get() == DOCUMENT


@pytest.mark.parametrize(
    "failure", [ContentUnavailable("away"), SettingError("ipfs_host", "is none"), ValueError("bug")]
)
async def test_expected__store_that_failed__next_waits_and_hears_of_it(failure: Exception) -> None:
    store = Store()
    placer = await trusted(store)
    store.failures = [failure]
    async with begun(placer) as placement:
        await placement.expected()
        await store.failed.wait()
        await asyncio.sleep(0)
    assert not placer.is_trusted
    store.failures = [failure]
    async with begun(placer) as placement:
        with pytest.raises(type(failure)):
            await placement.expected()
    async with begun(placer) as placement:
        await placement.expected()
    assert placer.is_trusted


async def test_end__prompt_of_no_use_any_more__store_is_left_alone() -> None:
    store = Store()
    placer = await trusted(store)
    store.open.clear()
    placer.begin(DOCUMENT).end()
    store.open.set()
    await asyncio.sleep(0.01)
    assert store.taken.empty()
