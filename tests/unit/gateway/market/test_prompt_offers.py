"""Which prompts are handed over at once, which only in case, and which not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, Wei
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.requester.node_door import NodeDoor
from decentralized_vllm.requester.node_sources import NodeSources
from dvllm_gateway.ids import TaskId
from dvllm_gateway.market.placement import Placement
from dvllm_gateway.market.prompt_offers import SPREAD_S, PromptOffers
from dvllm_gateway.services.task_jobs import Job, JobWatch
from dvllm_gateway.services.task_market import Order
from tests.support.scripted_market import NODE, OTHER_NODE, requested

SOON_S = 0.05
NEVER_S = 3600.0


ORDER = Order(TaskId("task"), ModelId("model"), b"{}", Cid("bafy"), Wei(1), 0, Wei(1), node=None)


class Door:
    """Tells how many blocks of each offer the node had use for."""

    def __init__(self) -> None:
        self.n_taken: int | None = 0
        self.offers: asyncio.Queue[JobId] = asyncio.Queue()

    async def offer_blocks(self, endpoint: str, job_id: JobId, car: bytes) -> int | None:
        self.offers.put_nowait(job_id)
        return self.n_taken


class Nodes:
    async def endpoint_of(self, node: Address) -> str:
        return f"http://{node}"


def offers_through(door: Door, *, in_case_after_s: float) -> PromptOffers:
    nodes: NodeSources = Nodes()  # type: ignore[assignment]
    real: NodeDoor = door  # type: ignore[assignment]
    return PromptOffers(nodes, real, in_case_after_s=in_case_after_s)


def leased(job_id: int, node: Address = NODE) -> Job:
    request = replace(requested(), job_id=JobId(job_id))
    return Job(request, JobStatus.LEASED, node, n_leases=1)


class Placed:
    def __init__(self, *, is_there: bool) -> None:
        self.is_there = is_there


@asynccontextmanager
async def followed(
    offers: PromptOffers, job: Job, *, is_placed: bool = True
) -> AsyncIterator[JobWatch]:
    watch = JobWatch(job)
    placement: Placement = Placed(is_there=is_placed)  # type: ignore[assignment]
    following = asyncio.create_task(offers.follow(ORDER, watch, placement))
    try:
        async with asyncio.timeout(10):
            yield watch
    finally:
        following.cancel()
        await asyncio.wait([following])


async def test_prompt_offers__node_that_had_use_for_the_last__next_at_once() -> None:
    door = Door()
    offers = offers_through(door, in_case_after_s=NEVER_S)
    for job_id, door.n_taken in ((1, 1), (2, None), (3, 1)):
        async with followed(offers, leased(job_id)):
            assert await door.offers.get() == job_id


async def test_prompt_offers__node_that_had_the_last_by_itself__next_only_in_case() -> None:
    door = Door()
    offers = offers_through(door, in_case_after_s=SOON_S)
    async with followed(offers, leased(1)):
        await door.offers.get()
    began_s = asyncio.get_running_loop().time()
    async with followed(offers, leased(2)):
        assert await door.offers.get() == 2
    assert asyncio.get_running_loop().time() - began_s >= SOON_S


async def test_prompt_offers__answered_meanwhile__not_handed_over() -> None:
    door = Door()
    offers = offers_through(door, in_case_after_s=SOON_S)
    async with followed(offers, leased(1)):
        await door.offers.get()
    async with followed(offers, leased(2)) as watch:
        await asyncio.sleep(0)
        watch.set(replace(leased(2), status=JobStatus.DELIVERED))
        await asyncio.sleep(SOON_S + SPREAD_S)
        assert door.offers.empty()


async def test_prompt_offers__another_node__at_once_all_the_same() -> None:
    door = Door()
    offers = offers_through(door, in_case_after_s=NEVER_S)
    async with followed(offers, leased(1)) as watch:
        await door.offers.get()
        watch.set(replace(leased(1, OTHER_NODE), n_leases=2))
        assert await door.offers.get() == 1


async def test_prompt_offers__needed_again__next_at_once() -> None:
    door = Door()
    offers = offers_through(door, in_case_after_s=SOON_S)
    for job_id, door.n_taken in ((1, 0), (2, 1)):
        async with followed(offers, leased(job_id)):
            await door.offers.get()
    async with followed(offers, leased(3)):
        for _ in range(5):  # steps, which take no time
            await asyncio.sleep(0)
        assert door.offers.get_nowait() == 3


async def test_prompt_offers__prompt_that_is_in_no_store_yet__at_once_to_whoever_it_is() -> None:
    door = Door()
    offers = offers_through(door, in_case_after_s=NEVER_S)
    for job_id, is_placed in ((1, True), (2, False)):
        async with followed(offers, leased(job_id), is_placed=is_placed):
            assert await door.offers.get() == job_id
