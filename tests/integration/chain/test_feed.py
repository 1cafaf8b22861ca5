"""The feed against a real chain: everything once, in order, again from the cursor."""

import asyncio
from pathlib import Path

from decentralized_vllm.chain.feed import FeedSettings, LogFeed
from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.events import EventBatch, InferenceRequested
from tests.support.anvil import Anvil
from tests.support.local_network import REQUESTER, feeding, sending, submit


async def requests_until(feed: LogFeed, job_id: int, *, advances: bool = True) -> list[int]:
    """Job ids in the order told, up to `job_id`."""
    seen: list[int] = []
    async for batch in feed.batches():
        seen += job_ids(batch)
        if advances:
            await feed.advance(batch.cursor)
        if job_id in seen:
            return seen
    raise AssertionError("a feed never ends")


def job_ids(batch: EventBatch) -> list[int]:
    return [event.job_id for event in batch.events if isinstance(event, InferenceRequested)]


async def test_feed__jobs_before_and_after_start__each_told_once(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender, feeding(network, tmp_path) as feed:
        await submit(network, sender, "first")
        told = asyncio.create_task(requests_until(feed, 3))
        await submit(network, sender, "second")
        await submit(network, sender, "third")
        assert await told == [1, 2, 3]


async def test_feed__restarted_after_advance__tells_only_what_is_new(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "first")
        async with feeding(network, tmp_path) as feed:
            assert await requests_until(feed, 1) == [1]
        await submit(network, sender, "second")
        async with feeding(network, tmp_path) as feed:
            assert await requests_until(feed, 2) == [2]


async def test_feed__restarted_without_advance__tells_again(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "first")
        for _ in range(2):
            async with feeding(network, tmp_path) as feed:
                assert await requests_until(feed, 1, advances=False) == [1]


async def test_feed__no_start_block__begins_after_the_present_head(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "before")
        async with feeding(network, tmp_path, start_block=None) as feed:
            told = asyncio.create_task(requests_until(feed, 2))
            await asyncio.sleep(0.2)
            await submit(network, sender, "after")
            assert await told == [2]


async def test_feed__three_confirmations__waits_for_two_blocks_on_top(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    settings = FeedSettings(poll_s=0.02, confirmations=3)
    async with (
        sending(network, REQUESTER, tmp_path) as sender,
        feeding(network, tmp_path, settings=settings) as feed,
    ):
        await submit(network, sender, "deep")
        told = asyncio.create_task(requests_until(feed, 1))
        anvil.mine(1)
        await asyncio.sleep(0.3)
        assert not told.done()
        anvil.mine(1)
        assert await asyncio.wait_for(told, 5) == [1]


async def test_feed__long_backfill_in_small_ranges__loses_nothing(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    settings = FeedSettings(poll_s=0.02, max_span_blocks=7)
    async with sending(network, REQUESTER, tmp_path) as sender:
        for i in range(5):
            await submit(network, sender, f"job {i}")
            anvil.mine(20)
        async with feeding(network, tmp_path, settings=settings) as feed:
            assert await requests_until(feed, 5) == [1, 2, 3, 4, 5]
