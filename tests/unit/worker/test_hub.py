"""Progress for those who listen: the whole story, within bounds."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import pytest

from decentralized_vllm.protocol.ids import Address, JobId
from dvllm_worker.http.hub import (
    JOBS_REMEMBERED,
    LISTENERS_PER_JOB,
    LISTENERS_PER_REQUESTER,
    MAX_EARLY,
    MAX_TOLD_ANSWER_BYTES,
    REQUESTERS_LISTENING,
    JobHub,
    TooManyListeners,
)
from dvllm_worker.http.inbox import (
    MAX_PIECE_CHARACTERS,
    QUEUE_LENGTH,
    QUEUE_LENGTH_OF_ALL,
    Notice,
)
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage
from tests.support.jobs import OTHER, PROMPT_CID, REQUESTER, RESPONSE_CID, requested, row

J1 = JobId(1)
PIECE = "x" * MAX_PIECE_CHARACTERS  # nothing is added to it


async def collect(hub: JobHub, number: int = 1) -> list[Notice]:
    with hub.listen(row(number)) as inbox:
        return [notice async for notices in inbox for notice in notices]


def names(notices: list[Notice]) -> list[str]:
    return [notice.name for notice in notices]


async def test_listen__after_the_end__whole_story_with_text_in_one_piece() -> None:
    hub = JobHub()
    hub.on_stage(row(1))
    hub.on_stage(row(1, Stage.GENERATING))
    for word in ("one ", "two"):
        hub.on_text(J1, word, 1)
    hub.on_stage(row(1, Stage.FINAL, response_cid=RESPONSE_CID))
    notices = await collect(hub)
    assert names(notices) == ["stage", "stage", "stage", "text", "end"]
    assert notices[3].data == {"job_id": "1", "text": "one two", "n_tokens": 2}
    assert notices[-1].data["response_cid"] == RESPONSE_CID


async def test_listen__while_it_goes_on__nothing_twice_nothing_missed() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    hub.on_text(J1, "a", 1)
    listening = asyncio.create_task(collect(hub))
    await asyncio.sleep(0)
    hub.on_text(J1, "b", 1)
    hub.on_stage(row(1, Stage.FINAL))
    notices = await listening
    text = "".join(notice.data["text"] for notice in notices if notice.name == "text")
    assert text == "ab"
    assert names(notices)[-1] == "end"


async def test_listen__one_who_lags__is_cut_off_and_others_are_not() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    with hub.listen(row(1)) as lagging:
        await anext(lagging)
        for _ in range(QUEUE_LENGTH + 2):
            hub.on_text(J1, PIECE, 1)
        rest = [notice async for notices in lagging for notice in notices]
    assert len(rest) <= QUEUE_LENGTH
    hub.on_stage(row(1, Stage.FINAL))
    text = next(notice for notice in await collect(hub) if notice.name == "text")
    assert text.data["n_tokens"] == QUEUE_LENGTH + 2


async def test_listen__more_than_allowed__refused() -> None:
    hub = JobHub()
    hub.on_stage(row(1))
    with ExitStack() as listeners:
        for _ in range(LISTENERS_PER_JOB):
            listeners.enter_context(hub.listen(row(1)))
        with pytest.raises(TooManyListeners), hub.listen(row(1)):
            raise AssertionError("let in")
    with hub.listen(row(1)) as inbox:
        assert names(await anext(inbox)) == ["stage"]


async def test_listen__woken_without_news__goes_on_with_nothing() -> None:
    hub = JobHub()
    hub.on_stage(row(1))
    with hub.listen(row(1)) as inbox:
        await anext(inbox)
        inbox.wake()
        assert await anext(inbox) == []
        hub.on_stage(row(1, Stage.FINAL))
        assert [names(notices) async for notices in inbox] == [["stage", "end"]]


async def test_on_stage__leased_again_after_the_end__a_new_story() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.FAILED))
    hub.on_stage(row(1, Stage.LEASED))
    hub.on_stage(row(1, Stage.LOST))
    assert [n.data["stage"] for n in await collect(hub)] == ["leased", "lost", "lost"]


async def test_on_text__answer_made_again__starts_empty() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    hub.on_text(J1, "first try", 2)
    hub.on_stage(row(1, Stage.GENERATING))
    hub.on_text(J1, "second", 1)
    hub.on_stage(row(1, Stage.FINAL))
    assert [n.data["text"] for n in await collect(hub) if n.name == "text"] == ["second"]


async def test_appears__job_is_heard_of__returns_and_forgets() -> None:
    hub = JobHub()
    waiting = [asyncio.create_task(hub.appears(J1, within_s=60)) for _ in range(3)]
    await asyncio.sleep(0)
    hub.on_stage(row(2))
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    hub.on_stage(row(1))
    await asyncio.gather(*waiting)
    assert (hub._early, hub._n_early) == ({}, 0)


async def test_appears__never__returns_in_time_and_too_many_at_once() -> None:
    hub = JobHub()
    await hub.appears(J1, within_s=0.01)
    waiting = [
        asyncio.create_task(hub.appears(JobId(n), within_s=60)) for n in range(10, 10 + MAX_EARLY)
    ]
    await asyncio.sleep(0)
    await hub.appears(J1, within_s=60)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (hub._early, hub._n_early) == ({}, 0)


async def test_many_jobs__old_ones_are_forgotten() -> None:
    hub = JobHub()
    for number in range(JOBS_REMEMBERED + 1):
        hub.on_stage(replace(row(number + 1), stage=Stage.LOST))
    hub.on_text(J1, "too late to be kept", 1)
    assert names(await collect(hub, JOBS_REMEMBERED + 1)) == ["stage", "end"]


@pytest.mark.parametrize(
    ("document", "is_told"),
    [
        (b"{}", True),
        (b"x" * MAX_TOLD_ANSWER_BYTES, True),
        (b"x" * (MAX_TOLD_ANSWER_BYTES + 1), False),
    ],
)
async def test_on_answer__told_with_its_stage_unless_it_is_long(
    document: bytes, is_told: bool
) -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    hub.on_answer(J1, RESPONSE_CID, document)
    hub.on_stage(row(1, Stage.GENERATED, response_cid=RESPONSE_CID))
    hub.on_stage(row(1, Stage.FINAL, response_cid=RESPONSE_CID))
    generated, final = (await collect(hub))[1:3]
    assert generated.data.get("response") == (document.decode() if is_told else None)
    assert "response" not in final.data


async def test_on_answer__another_one_became_the_jobs__not_told() -> None:
    hub = JobHub()
    hub.on_stage(row(1, Stage.GENERATING))
    hub.on_answer(J1, PROMPT_CID, b"{}")
    hub.on_stage(row(1, Stage.GENERATED, response_cid=RESPONSE_CID))
    hub.on_stage(row(1, Stage.FINAL))
    assert "response" not in (await collect(hub))[1].data


# ---------------------------------------------------------------- all jobs of a requester


def of(requester: Address, number: int, stage: Stage = Stage.GENERATING) -> JobRow:
    asked = replace(requested(number), controller=requester)
    return replace(row(number, stage), request=asked)


def told(notices: list[Notice]) -> list[tuple[str, str]]:
    return [(notice.data["job_id"], notice.name) for notice in notices]


async def test_listen_to_all__own_jobs__those_that_run_and_those_to_come() -> None:
    hub = JobHub()
    hub.on_stage(of(REQUESTER, 1))
    hub.on_text(JobId(1), "before ", 1)
    hub.on_stage(of(REQUESTER, 2, Stage.FINAL))
    hub.on_stage(of(OTHER, 3))
    with hub.listen_to_all(REQUESTER) as inbox:
        assert told(await anext(inbox)) == [("1", "stage"), ("1", "text")]
        hub.on_text(JobId(1), "after", 1)
        hub.on_text(JobId(3), "not yours", 1)
        hub.on_stage(of(REQUESTER, 4))
        hub.on_stage(of(REQUESTER, 1, Stage.FINAL))
        hub.on_text(JobId(4), "goes on", 2)
        notices = await anext(inbox)
    assert told(notices) == [
        ("1", "text"),
        ("4", "stage"),
        ("1", "stage"),
        ("1", "end"),
        ("4", "text"),
    ]
    assert notices[-1].data == {"job_id": "4", "text": "goes on", "n_tokens": 2}


async def test_listen_to_all__more_than_allowed__refused_until_one_leaves() -> None:
    hub = JobHub()
    with ExitStack() as listeners:
        for _ in range(LISTENERS_PER_REQUESTER):
            listeners.enter_context(hub.listen_to_all(REQUESTER))
        with pytest.raises(TooManyListeners), hub.listen_to_all(REQUESTER):
            pass
        with hub.listen_to_all(OTHER):
            pass
    with hub.listen_to_all(REQUESTER):
        pass


async def test_listen_to_all__crowd_of_requesters__bounded() -> None:
    hub = JobHub()
    with ExitStack() as listeners:
        for number in range(REQUESTERS_LISTENING):
            listeners.enter_context(hub.listen_to_all(Address(f"0x{number:040x}")))
        with pytest.raises(TooManyListeners), hub.listen_to_all(REQUESTER):
            pass
    with hub.listen_to_all(REQUESTER):
        pass


async def test_listen_to_all__node_stops__ends_after_what_was_told() -> None:
    hub = JobHub()
    with hub.listen_to_all(REQUESTER) as inbox:
        hub.on_stage(of(REQUESTER, 1))
        hub.dismiss()
        rest = [notice async for notices in inbox for notice in notices]
    assert told(rest) == [("1", "stage")]


async def test_listen_to_all__one_who_lags__is_cut_off() -> None:
    hub = JobHub()
    hub.on_stage(of(REQUESTER, 1))
    with hub.listen_to_all(REQUESTER) as lagging:
        for _ in range(QUEUE_LENGTH_OF_ALL + 2):
            hub.on_text(JobId(1), PIECE, 1)
        assert [notice async for notices in lagging for notice in notices] == []


async def test_listen__to_hundreds_of_old_jobs__those_that_run_are_still_told() -> None:
    hub = JobHub()
    running = of(REQUESTER, 1)
    hub.on_stage(running)
    with hub.listen(running) as inbox:
        for number in range(2, JOBS_REMEMBERED + 3):
            with hub.listen(of(OTHER, number, Stage.SEEN if number % 2 else Stage.FINAL)):
                pass
        hub.on_text(running.job_id, "still here", 1)
        heard = await anext(aiter(inbox))
    assert "still here" in [notice.data.get("text") for notice in heard]
