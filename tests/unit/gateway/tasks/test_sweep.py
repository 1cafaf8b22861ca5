"""The look at all open jobs: what events left out is found, what is overdue is ended."""

from types import SimpleNamespace
from typing import Any

import pytest

from decentralized_vllm.protocol.errors import ChainUnavailable, UnknownJob
from decentralized_vllm.protocol.events import JobEvent
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from dvllm_gateway.market.follower import Follower
from dvllm_gateway.market.sweep import Sweep
from dvllm_gateway.services.task_jobs import Job, JobWatch
from tests.support.jobs import state
from tests.support.scripted_market import SENDER, requested
from tests.unit.gateway.tasks.test_follower import batch, completed, leased


class Chain:
    """States and stories as the chain has them; and a network around itself."""

    def __init__(self) -> None:
        self.states: dict[int, JobState | Exception] = {}
        self.stories: dict[int, list[Any]] = {}
        self.n_stories_read = 0
        self.expired: list[tuple[int, int | None]] = []

    @property
    def network(self) -> Any:
        return SimpleNamespace(jobs=self)

    async def chain_time_s(self) -> int:
        return 555

    async def job(self, job_id: JobId) -> JobState:
        found = self.states[job_id]
        if isinstance(found, Exception):
            raise found
        return found

    async def events(self, job_id: JobId) -> tuple[JobEvent, ...]:
        self.n_stories_read += 1
        return tuple(self.stories[job_id])

    async def expire_if_due(self, state: JobState, *, now_s: int | None = None) -> None:
        self.expired.append((state.job_id, now_s))


class Setup:
    def __init__(self) -> None:
        self.chain = Chain()
        feed: Any = None
        self.follower = Follower(feed, SENDER, lambda _: None)
        overdue: Any = self.chain
        self.sweep = Sweep(self.chain.network, self.follower, overdue, every_s=1)

    def follow(self, job_id: int) -> JobWatch:
        watch = JobWatch(None)
        self.follower.follow(requested(job_id).position.tx_hash, watch)
        self.follower.apply(batch(10, requested(job_id, log=2 * job_id), self.lease(job_id)))
        self.chain.states[job_id] = state(job_id, status=JobStatus.LEASED)
        return watch

    @staticmethod
    def lease(job_id: int) -> Any:
        return leased(job_id, log=2 * job_id + 1)


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_once__nothing_open__asks_nothing(setup: Setup) -> None:
    await setup.sweep.once()
    assert setup.chain.expired == []


async def test_once__open_jobs__are_ended_if_overdue_by_one_look_at_the_clock(
    setup: Setup,
) -> None:
    setup.follow(1)
    setup.follow(2)
    await setup.sweep.once()
    assert setup.chain.expired == [(1, 555), (2, 555)]
    assert setup.chain.n_stories_read == 0


async def test_once__state_is_ahead_of_the_events_twice__story_is_read(setup: Setup) -> None:
    watch = setup.follow(1)
    setup.chain.states[1] = state(1, status=JobStatus.DELIVERED)
    setup.chain.stories[1] = [requested(1, log=2), setup.lease(1), *completed(1)]
    await setup.sweep.once()
    assert setup.chain.n_stories_read == 0  # the block may just be on its way
    await setup.sweep.once()
    assert isinstance(watch.value, Job)
    assert (watch.value.status, watch.value.price_wei) == (JobStatus.DELIVERED, 400)
    await setup.sweep.once()
    assert setup.chain.n_stories_read == 1


async def test_once__one_job_can_not_be_read__the_others_are(setup: Setup) -> None:
    setup.follow(1)
    setup.follow(2)
    setup.chain.states[1] = UnknownJob("gone")
    await setup.sweep.once()
    assert setup.chain.expired == [(2, 555)]
    setup.chain.states[1] = ChainUnavailable("silent")
    await setup.sweep.once()
    assert [job_id for job_id, _ in setup.chain.expired] == [2, 2]
