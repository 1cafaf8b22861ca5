"""Blocks that go away under the feed: by re-organisation, by rollback, while it is stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from decentralized_vllm.chain.feed import LogFeed
from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.events import EventBatch, InferenceRequested
from tests.support.anvil import Anvil
from tests.support.local_network import (
    MODEL,
    PROMPT_CID,
    REQUESTER,
    feeding,
    sending,
    submit,
)
from tests.support.waiting import wait_until


class Follower:
    """Applies batches as a consumer must: what a rewound block told is dropped again."""

    def __init__(self, feed: LogFeed) -> None:
        self.jobs: list[tuple[int, int]] = []  # (block, job)
        self.rewinds: list[int] = []
        self._feed = feed

    async def run(self) -> None:
        async for batch in self._feed.batches():
            self._apply(batch)
            await self._feed.advance(batch.cursor)

    def _apply(self, batch: EventBatch) -> None:
        if batch.rewound_to is not None:
            self.rewinds.append(batch.rewound_to)
            self.jobs = [job for job in self.jobs if job[0] <= batch.rewound_to]
        for event in batch.events:
            if isinstance(event, InferenceRequested):
                self.jobs.append((event.position.block_number, event.job_id))

    async def until(self, jobs: list[int]) -> None:
        await wait_until(lambda: [job for _, job in self.jobs] == jobs, what=f"jobs {jobs}")

    async def until_block(self, job: int, block: int) -> None:
        await wait_until(lambda: self.jobs == [(block, job)], what=f"job {job} in {block}")


@asynccontextmanager
async def following(network: Network, folder: Path) -> AsyncIterator[Follower]:
    async with feeding(network, folder) as feed:
        follower = Follower(feed)
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("depth", [1, 3, 10])
async def test_feed__reorg_without_the_request__tells_rewind_and_forgets_the_job(
    network: Network, anvil: Anvil, tmp_path: Path, depth: int
) -> None:
    anvil.mine(depth)
    async with following(network, tmp_path) as follower:
        async with sending(network, REQUESTER, tmp_path) as sender:
            await submit(network, sender, "goes")
        anvil.mine(depth - 1)
        await follower.until([1])
        block = follower.jobs[0][0]
        anvil.call("anvil_reorg", depth, [])
        await follower.until([])
        assert min(follower.rewinds) < block


async def test_feed__request_mined_again_elsewhere__is_told_again_there(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    async with following(network, tmp_path) as follower:
        async with sending(network, REQUESTER, tmp_path) as sender:
            tx_hash = await sender.send(
                network.requester_calls.submit_prompt(PROMPT_CID, MODEL.model_id), key="moves"
            )
            await sender.wait("moves")
        anvil.mine(2)
        await follower.until([1])
        block = follower.jobs[0][0]
        raw = anvil.call("eth_getRawTransactionByHash", tx_hash)
        anvil.call("anvil_reorg", 3, [[raw, 1]])
        await follower.until_block(1, block + 1)


async def test_feed__rollback_and_other_blocks__tells_the_new_chain_only(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    snapshot = anvil.call("evm_snapshot")
    async with following(network, tmp_path) as follower:
        async with sending(network, REQUESTER, tmp_path) as sender:
            await submit(network, sender, "vanishes")
        await follower.until([1])
        anvil.call("evm_revert", snapshot)
        anvil.mine(3)
        await follower.until([])
        assert follower.rewinds


async def test_feed__silent_rollback__is_noticed_when_patience_ends(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    async with following(network, tmp_path) as follower:
        async with sending(network, REQUESTER, tmp_path) as sender:
            await submit(network, sender, "stays")
            await follower.until([1])  # the feed has been at the block it will go back to
            await submit(network, sender, "vanishes")
        await follower.until([1, 2])
        anvil.call("anvil_rollback", 1)
        await follower.until([1])
        assert follower.rewinds == [anvil.block_number()]


async def test_feed__reorg_while_stopped__is_told_after_the_restart(
    network: Network, anvil: Anvil, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        await submit(network, sender, "goes")
    async with following(network, tmp_path) as follower:
        await follower.until([1])
    anvil.call("anvil_reorg", 2, [])
    async with following(network, tmp_path) as follower:
        await wait_until(lambda: bool(follower.rewinds), what="the rewind")
        await follower.until([])
