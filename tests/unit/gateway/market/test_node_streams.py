"""All jobs of a node over one connection: each listener hears its job whole, or asks for it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from decentralized_vllm.protocol.errors import ContentUnavailable
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.requester.server_events import ServerEvent
from dvllm_gateway.market import node_streams, told_jobs
from dvllm_gateway.market.node_streams import NodeStreams

NODE = "http://node.example"
ONE, TWO = JobId(1), JobId(2)
END = "end"


def text(job_id: JobId, said: str) -> ServerEvent:
    return ServerEvent("text", {"job_id": str(job_id), "text": said, "n_tokens": 1})


def end(job_id: JobId) -> ServerEvent:
    return ServerEvent(END, {"job_id": str(job_id), "stage": "final"})


class Door:
    """A node that tells what the test says; job by job it tells one word."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[ServerEvent | ContentUnavailable | None] = asyncio.Queue()
        self.n_opened = 0
        self.n_closed = 0
        self.asked: list[JobId] = []

    async def events(self, endpoint: str, job_id: JobId) -> AsyncGenerator[ServerEvent, None]:
        self.asked.append(job_id)
        yield text(job_id, "by itself")
        yield end(job_id)

    async def all_events(self, endpoint: str) -> AsyncGenerator[ServerEvent, None]:
        self.n_opened += 1
        try:
            while (said := await self.said.get()) is not None:
                if isinstance(said, ContentUnavailable):
                    raise said
                yield said
        finally:
            self.n_closed += 1

    def say(self, *events: ServerEvent | ContentUnavailable | None) -> None:
        for event in events:
            self.said.put_nowait(event)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def streams(door: Door) -> AsyncGenerator[NodeStreams, None]:
    streams = NodeStreams(door)
    yield streams
    await streams.close()
    assert door.n_closed == door.n_opened


async def heard(streams: NodeStreams, job_id: JobId) -> str:
    words = [event.fields.get("text", END) async for event in streams.events(NODE, job_id)]
    return " ".join(words)


async def test_events__of_several_jobs__one_connection_and_each_its_own(
    streams: NodeStreams, door: Door
) -> None:
    listening = [asyncio.create_task(heard(streams, job_id)) for job_id in (ONE, TWO)]
    await asyncio.sleep(0)
    door.say(text(ONE, "a"), text(TWO, "x"), text(ONE, "b"), end(ONE), text(TWO, "y"), end(TWO))
    assert await asyncio.gather(*listening) == ["a b end", "x y end"]
    assert (door.n_opened, door.asked) == (1, [])


async def test_events__told_before_anybody_listens__are_kept(
    streams: NodeStreams, door: Door
) -> None:
    first = asyncio.create_task(heard(streams, ONE))
    door.say(text(TWO, "early"), text(ONE, "a"), end(ONE))
    assert await first == "a end"
    door.say(end(TWO))
    assert await heard(streams, TWO) == "early end"
    assert (door.n_opened, door.asked) == (1, [])


async def test_events__job_is_not_told_of__asked_for_by_itself(
    streams: NodeStreams, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_streams, "HEARD_WITHIN_S", 0.01)
    door.say(text(TWO, "another"))
    assert await heard(streams, ONE) == "by itself end"


async def test_events__listener_left_half_way__asks_for_the_whole_next_time(
    streams: NodeStreams, door: Door
) -> None:
    events = streams.events(NODE, ONE)
    door.say(text(ONE, "a"))
    assert (await anext(events)).fields["text"] == "a"
    await events.aclose()
    door.say(text(ONE, "b"))
    assert await heard(streams, ONE) == "by itself end"


async def test_events__job_ends_and_is_leased_again__are_of_the_new_lease(
    streams: NodeStreams, door: Door
) -> None:
    first = asyncio.create_task(heard(streams, ONE))
    door.say(text(ONE, "failed"), end(ONE))
    assert await first == "failed end"
    door.say(text(ONE, "better"), end(ONE))
    assert await heard(streams, ONE) == "better end"


async def test_events__node_has_no_such_stream__job_by_job_for_a_while(
    streams: NodeStreams, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.say(ContentUnavailable("404"))
    assert await heard(streams, ONE) == "by itself end"
    assert await heard(streams, TWO) == "by itself end"
    assert door.n_opened == 1
    monkeypatch.setattr(node_streams, "UNHEARD_S", 0.0)
    streams._unheard_until_s.clear()
    door.say(text(ONE, "a"), end(ONE))
    assert await heard(streams, ONE) == "a end"


async def test_events__connection_breaks_in_the_middle__told_and_opened_again(
    streams: NodeStreams, door: Door
) -> None:
    events = streams.events(NODE, ONE)
    door.say(text(ONE, "a"))
    await anext(events)
    door.say(None)
    with pytest.raises(ContentUnavailable):
        await anext(events)
    door.say(text(ONE, "a b"), end(ONE))
    assert await heard(streams, ONE) == "a b end"
    assert door.n_opened == 2


async def test_events__nobody_listens_any_more__connection_is_closed(
    streams: NodeStreams, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_streams, "IDLE_S", 0.01)
    door.say(text(ONE, "a"), end(ONE))
    await heard(streams, ONE)
    async with asyncio.timeout(10):
        while not door.n_closed:  # noqa: ASYNC110 - a closed connection tells nobody
            await asyncio.sleep(0.01)


async def test_events__jobs_that_nobody_listens_to__are_bounded(
    streams: NodeStreams, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_jobs, "JOBS_KEPT", 2)
    door.say(*(text(JobId(number), "kept?") for number in range(1, 5)))
    assert await asyncio.wait_for(heard(streams, ONE), 10) == "by itself end"
    door.say(end(JobId(4)))
    assert await heard(streams, JobId(4)) == "kept? end"


async def test_told_jobs__one_begins_again_while_it_is_listened_to__is_not_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(told_jobs, "JOBS_KEPT", 1)
    monkeypatch.setattr(told_jobs, "BYTES_KEPT", 1200)
    jobs = told_jobs.ToldJobs()
    jobs.add(text(ONE, "a"))
    assert await jobs.take(ONE, within_s=1) is not None
    jobs.add(end(ONE))
    jobs.add(text(TWO, "b"))
    jobs.add(text(ONE, "x" * 2000))  # too long to be kept, and told without a fault
    assert await jobs.take(ONE, within_s=1) is None


async def test_events__more_than_its_listener_takes__cut_off(
    streams: NodeStreams, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_jobs, "BYTES_AHEAD", 3000)
    events = streams.events(NODE, ONE)
    door.say(text(ONE, "a"))
    await anext(events)
    door.say(*(text(ONE, "x" * 300) for _ in range(4)))
    with pytest.raises(ContentUnavailable, match="as fast"):
        while True:
            await anext(events)
            await asyncio.sleep(0)


async def test_events__of_a_job_nobody_listens_to__are_kept_in_part_and_told_by_itself(
    streams: NodeStreams, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_jobs, "BYTES_KEPT", 1200)
    first = asyncio.create_task(heard(streams, ONE))
    door.say(*(text(TWO, "word") for _ in range(4)), text(ONE, "a"), end(ONE))
    assert await first == "a end"
    assert await heard(streams, TWO) == "by itself end"


@pytest.mark.parametrize(
    "fields", [{}, {"job_id": 7}, {"job_id": None}, {"job_id": "seven"}, {"job_id": "7" * 79}]
)
async def test_events__of_no_job__are_no_matter(
    streams: NodeStreams, door: Door, fields: dict[str, object]
) -> None:
    door.say(ServerEvent("text", fields), text(ONE, "a"), end(ONE))
    assert await heard(streams, ONE) == "a end"


async def test_told_jobs__stranger_adds_what_nobody_looks_at__is_not_kept() -> None:
    jobs = told_jobs.ToldJobs()
    nested = {"job_id": "1", "text": "a", "n_tokens": 1 << 5000, "more": [[] for _ in range(9)]}
    jobs.add(ServerEvent("text", nested))
    jobs.add(ServerEvent("?" * 1000, {"job_id": "1"}))
    jobs.add(end(ONE))
    job = await jobs.take(ONE, within_s=1)
    assert job is not None
    assert [event async for event in job] == [
        ServerEvent("text", {"job_id": "1", "text": "a"}),
        end(ONE),
    ]


async def test_told_jobs__ids_of_no_job__are_not_remembered() -> None:
    """A node may send a million characters as one, thousands of times."""
    jobs = told_jobs.ToldJobs()
    for number in range(3):
        jobs.add(ServerEvent("text", {"job_id": f"{number}" * 1_000_000, "text": "a"}))
    assert not jobs._dropped and not jobs._jobs
