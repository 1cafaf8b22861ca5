"""Handlers hear of the account's tasks, wherever they were submitted."""

import asyncio

from decentralized_vllm import AsyncClient
from decentralized_vllm.protocol.jobs import FailureCode
from tests.support.local_network import MODEL


class Ear:
    def __init__(self, client):
        self.heard = asyncio.Queue()
        for event in ("task_submitted", "task_started", "task_completed", "task_failed"):
            client.on(event, lambda task, event=event: self.heard.put_nowait((event, task)))

    async def next(self):
        return await asyncio.wait_for(self.heard.get(), timeout=60)


async def test_monitoring__own_task__is_told_from_submission_to_answer(client, market):
    ear = Ear(client)
    await client.start_monitoring()
    task = await client.submit_task("Hi", MODEL.model_id)
    assert (await ear.next())[0] == "task_submitted"
    event, started = await ear.next()
    assert (event, started.worker) == ("task_started", market.node.address)
    await market.node.answer(task.id, "Hello there")
    event, done = await ear.next()
    assert (event, done.response) == ("task_completed", "Hello there")
    assert ear.heard.empty()


async def test_monitoring__task_of_another_process__is_found(client, market):
    ear = Ear(client)
    await client.start_monitoring()
    async with AsyncClient.of(market.settings(data_dir=market.folder / "other")) as other:
        await asyncio.sleep(1.5)  # the monitor has taken its first look
        task = await other.submit_task("Hi", MODEL.model_id)
    event, submitted = await ear.next()
    assert (event, submitted.id) == ("task_submitted", task.id)
    await market.node.fail(task.id, FailureCode.CONTENT_INVALID)
    events = [await ear.next(), await ear.next()]
    assert [event for event, _ in events] == ["task_started", "task_failed"]
    assert events[1][1].failure == "content_invalid"


async def test_monitoring__handler_that_raises__does_not_end_it(client, market):
    ear = Ear(client)
    client.on("task_started", lambda task: 1 / 0)
    await client.start_monitoring()
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.answer(task.id, "Hello")
    heard = [(await ear.next())[0] for _ in range(2)]
    assert heard[0] == "task_submitted"
    while heard[-1] != "task_completed":
        heard.append((await ear.next())[0])


async def test_monitoring__overdue_task__is_ended_and_told(client, market):
    ear = Ear(client)
    await client.start_monitoring()
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.pass_time(120 + 2 + 300 + 1)
    while (heard := await ear.next())[0] != "task_failed":
        pass
    assert heard[1].refund_wei == task.escrow_wei


async def test_monitoring__nothing_happens__goes_on_without_a_complaint(client, caplog):
    await client.start_monitoring()
    await asyncio.sleep(1.5)
    assert "monitoring_goes_on" not in caplog.text


async def test_stop_monitoring__afterwards__nothing_is_told(client, market):
    ear = Ear(client)
    await client.start_monitoring()
    await client.stop_monitoring()
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.answer(task.id, "Hello")
    await client.wait_for_completion(task, timeout=60)
    assert (await ear.next())[0] == "task_submitted"
    assert ear.heard.empty()
