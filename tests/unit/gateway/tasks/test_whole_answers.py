"""Whole answers: as soon as the node has published them, and nothing before that."""

import asyncio

import pytest

from decentralized_vllm.protocol.jobs import FailureCode
from dvllm_gateway.errors import PromptRefused, TaskFailed
from dvllm_gateway.ids import TaskId
from dvllm_gateway.services.task_market import AnswerBegins, AnswerGoesOn, AnswerPublished
from dvllm_gateway.services.tasks import StreamEnd, TaskState, TextChunk
from tests.support.scripted_market import (
    NODE,
    OTHER_NODE,
    RESPONSE_CID,
    delivered_job,
    failed_job,
    leased_job,
)
from tests.support.task_desk import ALICE, Desk, eventually

PATIENCE_S = 10


def asked_for(desk: Desk, task_id: TaskId) -> asyncio.Task[StreamEnd]:
    async def answer() -> StreamEnd:
        async with asyncio.timeout(PATIENCE_S):
            return await desk.service.answer(ALICE, task_id)

    return asyncio.create_task(answer())


async def listen(desk: Desk, task_id: TaskId, heard: list[TextChunk | StreamEnd]) -> None:
    async for item in desk.service.stream(ALICE, task_id):
        heard.append(item)


async def test_answer__published__is_whole_before_its_delivery(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    answering = asked_for(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, AnswerBegins(), AnswerGoesOn("hi", 1))
    await asyncio.sleep(0.05)
    assert not answering.done()
    desk.market.says(NODE, AnswerPublished(RESPONSE_CID))
    task = (await answering).task
    assert (task.response, task.response_cid, task.worker) == ("hi there", RESPONSE_CID, NODE)
    assert not (await desk.service.get(ALICE, task_id)).state.is_over


async def test_answer__node_says_nothing__is_that_of_the_chain(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    answering = asked_for(desk, task_id)
    watch.set(delivered_job())
    task = (await answering).task
    assert (task.response, task.state) == ("hi there", TaskState.COMPLETED)


async def test_answer__of_an_ended_task__is_there_at_once(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    watch.set(delivered_job())
    await desk.over(task_id)
    assert (await asked_for(desk, task_id)).task.response == "hi there"


async def test_answer__job_fails__raises_to_all_who_wait_and_ask_later(desk: Desk) -> None:
    task_id, watch = await desk.submitted()
    answering = [asked_for(desk, task_id) for _ in range(3)]
    watch.set(failed_job(FailureCode.CONTENT_INVALID))
    for each in (*answering, asked_for(desk, task_id)):
        with pytest.raises(PromptRefused, match="not valid"):
            await each


async def test_answer__another_node_takes_over_and_says_otherwise__is_what_the_chain_got(
    desk: Desk,
) -> None:
    task_id, watch = await desk.submitted()
    answering = asked_for(desk, task_id)
    watch.set(leased_job())
    desk.market.says(NODE, AnswerBegins(), AnswerGoesOn("ho", 1))
    heard: list[TextChunk | StreamEnd] = []
    listening = asyncio.create_task(listen(desk, task_id, heard))
    await eventually(lambda: heard == [TextChunk("ho", 1)])
    desk.market.says(OTHER_NODE, AnswerBegins(), AnswerGoesOn("hi", 1))
    watch.set(leased_job(node=OTHER_NODE, n_leases=2))
    with pytest.raises(TaskFailed):
        await listening
    assert not answering.done()
    watch.set(delivered_job(node=OTHER_NODE))
    assert (await answering).task.response == "hi there"
