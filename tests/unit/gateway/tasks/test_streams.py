"""Streams: what listeners hear of nodes, takeovers and the chain."""

import asyncio

import pytest

from decentralized_vllm.protocol.ids import Wei
from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_gateway.errors import NetworkUnavailable, PromptRefused, PromptTooLong, TaskFailed
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.task_market import (
    AnswerBegins,
    AnswerGoesOn,
    AnswerPublished,
    Delivery,
)
from dvllm_gateway.services.tasks import StreamEnd, TaskState, TextChunk
from tests.support.scripted_market import (
    NODE,
    OTHER_NODE,
    RESPONSE_CID,
    answer,
    delivered_job,
    failed_job,
    leased_job,
    open_job,
)
from tests.support.task_desk import ALICE, Desk, eventually

PUBLISHED = AnswerPublished(RESPONSE_CID)


def words(*texts: str) -> list[AnswerGoesOn]:
    return [AnswerGoesOn(text, 1) for text in texts]


class Ear:
    """One listener and what it has heard."""

    def __init__(self, desk: Desk, task_id: TaskId) -> None:
        self.pieces: list[TextChunk] = []
        self.end: StreamEnd | None = None
        self._hearing = asyncio.create_task(self._hear(desk, task_id))

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    async def ended(self) -> StreamEnd:
        async with asyncio.timeout(10):
            await self._hearing
        assert self.end is not None
        return self.end

    async def _hear(self, desk: Desk, task_id: TaskId) -> None:
        async for item in desk.service.stream(ALICE, task_id):
            if isinstance(item, StreamEnd):
                self.end = item
            else:
                self.pieces.append(item)


@pytest.mark.parametrize("told", [["a"] * 1000, ["a" * 5_000_000] * 2])
async def test_stream__node_tells_without_end__cut_off_and_the_task_goes_on(
    desk: Desk, told: list[str]
) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, AnswerBegins(), *words(*told))
    with pytest.raises(TaskFailed, match="more than an answer") as failure:
        await ear.ended()
    assert failure.value.task_created
    assert len(ear.pieces) < len(told)
    watch.set(delivered_job())
    assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_stream__words_as_they_come_and_the_end_before_the_delivery(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, AnswerBegins(), *words("hi"))
    await eventually(lambda: ear.text == "hi")
    desk.market.says(NODE, *words(" there"), PUBLISHED)
    end = await ear.ended()
    assert [piece.text for piece in ear.pieces] == ["hi", " there"]
    assert (end.usage, end.finish_reason) == (answer().usage, answer().finish_reason)
    assert (end.task.job_id, end.task.worker, end.task.response_cid, end.task.receipt) == (
        1,
        NODE,
        RESPONSE_CID,
        answer().receipt,
    )
    assert not (await desk.service.get(ALICE, task_id)).state.is_over
    watch.set(delivered_job())
    assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_stream__several_listeners__one_connection_and_the_same_words(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ears = [Ear(desk, task_id) for _ in range(3)]
    watch.set(leased_job())
    desk.market.says(NODE, AnswerBegins(), *words("hi"))
    await eventually(lambda: ears[0].text == "hi")
    late = Ear(desk, task_id)
    desk.market.says(NODE, *words(" there"), PUBLISHED)
    for ear in (*ears, late):
        await ear.ended()
        assert ear.text == "hi there"
    assert desk.market.n_listens == 1


async def test_stream__node_starts_over__what_was_told_is_not_told_again(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, AnswerBegins(), *words("hi", " th"))
    desk.market.says(NODE, AnswerBegins(), *words("h", "i the", "re"), PUBLISHED)
    await ear.ended()
    assert [piece.text for piece in ear.pieces] == ["hi", " th", "e", "re"]
    assert sum(piece.n_tokens for piece in ear.pieces) <= 3


async def test_stream__another_node_takes_over__goes_on_where_it_was(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, *words("hi", " th"))
    await eventually(lambda: ear.text == "hi th")
    watch.set(open_job())
    desk.market.answers.append(answer(worker=OTHER_NODE))
    desk.market.says(OTHER_NODE, AnswerBegins(), *words("hi", " there"), PUBLISHED)
    watch.set(leased_job(node=OTHER_NODE, n_leases=2))
    end = await ear.ended()
    assert (ear.text, end.task.worker) == ("hi there", OTHER_NODE)


async def test_stream__another_node_says_something_else__fails(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, *words("hi", " th"))
    await eventually(lambda: ear.text == "hi th")
    desk.market.says(OTHER_NODE, AnswerBegins(), *words("hi", " you"))
    watch.set(leased_job(node=OTHER_NODE, n_leases=2))
    with pytest.raises(TaskFailed) as failure:
        await ear.ended()
    assert failure.value.task_created
    watch.set(delivered_job(node=OTHER_NODE))
    assert (await desk.over(task_id)).state is TaskState.COMPLETED


async def test_stream__published_answer_differs_from_the_words__fails(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, *words("something else"), PUBLISHED)
    with pytest.raises(TaskFailed):
        await ear.ended()
    assert ear.text == "something else"


async def test_stream__published_answer_is_invalid__chain_has_the_last_word(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.answers.append(TaskFailed("the node's answer is not valid"))
    desk.market.says(NODE, *words("hi"), PUBLISHED)
    await eventually(lambda: not desk.market.answers)
    watch.set(delivered_job())
    end = await ear.ended()
    assert (ear.text, end.task.state) == ("hi there", TaskState.COMPLETED)


async def test_stream__node_can_not_be_heard__answer_of_the_chain_in_one_piece(
    desk: Desk,
) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, NetworkUnavailable("no answer"))
    await eventually(lambda: desk.market.n_listens == 1)
    watch.set(delivered_job())
    end = await ear.ended()
    assert [piece.text for piece in ear.pieces] == ["hi there"]
    assert ear.pieces[0].n_tokens == end.usage.n_output_tokens


async def test_stream__connection_breaks__the_same_node_is_asked_again(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, *words("hi"), NetworkUnavailable("broken off"))
    await eventually(lambda: ear.text == "hi")
    desk.market.says(NODE, AnswerBegins(), *words("hi", " there"), PUBLISHED)
    await ear.ended()
    assert (ear.text, desk.market.n_listens) == ("hi there", 2)


async def test_stream__node_tells_less_than_it_published__the_rest_comes_with_it(
    desk: Desk,
) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, *words("hi"), PUBLISHED)
    await ear.ended()
    assert [piece.text for piece in ear.pieces] == ["hi", " there"]


async def test_stream__job_fails__raises(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    watch.set(failed_job(FailureCode.CONTENT_MISSING))
    with pytest.raises(TaskFailed, match="not be found"):
        await ear.ended()
    with pytest.raises(TaskFailed, match="not be found"):
        await Ear(desk, task_id).ended()


async def test_stream__prompt_is_refused__raises_that(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(leased_job())
    watch.set(failed_job(FailureCode.CONTENT_INVALID))
    with pytest.raises(PromptRefused, match="not valid"):
        await ear.ended()
    with pytest.raises(PromptRefused, match="not valid"):
        await Ear(desk, task_id).ended()


async def test_stream__prompt_is_too_long__raises_that(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    ear = Ear(desk, task_id)
    watch.set(failed_job(FailureCode.CONTENT_TOO_LARGE))
    with pytest.raises(PromptTooLong):
        await ear.ended()
    with pytest.raises(PromptTooLong):
        await Ear(desk, task_id).ended()


async def test_stream__of_an_ended_task__in_one_piece(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    await desk.over(task_id)
    ear = Ear(desk, task_id)
    end = await ear.ended()
    assert (ear.text, end.task.state) == ("hi there", TaskState.COMPLETED)


async def test_stream__nobody_listens__no_connection(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(leased_job())
    watch.set(delivered_job())
    await desk.over(task_id)
    assert desk.market.n_listens == 0


async def test_progress__somebody_hears_events__grows_and_ends_with_a_hundred(desk: Desk) -> None:
    heard = desk.bus.subscribe()
    task_id, watch = await desk.submitted()
    watch.set(leased_job())
    desk.market.deliveries.append(Delivery(answer("w " * 8, n_tokens=8), Wei(1)))
    desk.market.says(NODE, *words(*["w "] * 8))
    await eventually(lambda: desk.market.n_listens == 1)
    watch.set(delivered_job())
    await desk.over(task_id)
    percentages = []
    async with asyncio.timeout(10):
        async for event in heard:
            if event.name == "task_progress":
                percentages.append(event.payload.percentage)  # type: ignore[union-attr]
            if event.name == "task_completed":
                break
    assert percentages == sorted(percentages)
    assert percentages[-1] == 100.0
    assert all(percentage < 100 for percentage in percentages[:-1])
