"""The ends of monitoring: of a job whose answer is none, and of the monitoring itself."""

import asyncio

from decentralized_vllm import AsyncClient, TaskStatus
from decentralized_vllm.content.memory import MemoryStore
from tests.support.local_network import MODEL
from tests.support.waiting import wait_until


def ends_heard(client):
    heard = asyncio.Queue()
    for event in ("task_completed", "task_failed"):
        client.on(event, lambda task, event=event: heard.put_nowait((event, task)))
    return heard


async def answered(client, market, text="Hello there"):
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.answer(task.id, text)
    return task


async def next_of(heard):
    return await asyncio.wait_for(heard.get(), timeout=60)


async def test_monitoring__answer_that_is_none__is_told_as_failed(client, market):
    heard = ends_heard(client)
    await client.start_monitoring()
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.deliver(task.id, b"four", None)
    event, told = await next_of(heard)
    assert (event, told.id, told.failure) == ("task_failed", task.id, "invalid_answer")
    assert (told.status, told.response) == (TaskStatus.COMPLETED, None)


async def test_monitoring__answer_that_takes_for_ever__holds_up_no_other_news(
    client, market, monkeypatch
):
    store = client._opened().reader._store
    read_bytes, asked, may_answer = store.read_bytes, [], asyncio.Event()

    async def slow_read(cid, *, max_bytes):
        asked.append(cid)
        await may_answer.wait()
        return await read_bytes(cid, max_bytes=max_bytes)

    monkeypatch.setattr(store, "read_bytes", slow_read)
    heard = ends_heard(client)
    await client.start_monitoring()
    hidden = await client.submit_task("One", MODEL.model_id)
    public, market.node.store = market.node.store, MemoryStore()
    cid = await market.node.answer(hidden.id, "hidden")
    await wait_until(lambda: cid in asked, what="the answer to be looked for")
    private, market.node.store = market.node.store, public
    other = await answered(client, market)
    assert (await next_of(heard))[1].id == other.id
    await public.put_block(cid, await private.get_block(cid))
    may_answer.set()
    event, told = await next_of(heard)
    assert (event, told.response) == ("task_completed", "hidden")


async def test_stop_monitoring__from_a_handler__lets_it_end_and_can_be_started_again(
    client, market
):
    ended = asyncio.Queue()

    async def on_task_completed(task):
        await client.stop_monitoring()
        await asyncio.sleep(0)  # where a handler that was cancelled would end
        ended.put_nowait(task.id)

    client.on("task_completed", on_task_completed)
    for _ in range(2):
        await client.start_monitoring()
        task = await answered(client, market)
        assert await next_of(ended) == task.id


async def test_stop_monitoring__from_a_handler_of_the_rounds__lets_it_end(client, market):
    ended = asyncio.Queue()

    async def on_task_started(task):
        await client.stop_monitoring()
        await asyncio.sleep(0)
        ended.put_nowait(task.id)

    client.on("task_started", on_task_started)
    await client.start_monitoring()
    task = await client.submit_task("Hi", MODEL.model_id)
    assert await next_of(ended) == task.id


async def test_start_monitoring__of_a_client_that_is_opened_again__tells_again(market):
    client = AsyncClient.of(market.settings())
    heard = ends_heard(client)
    for _ in range(2):
        async with client:
            await client.start_monitoring()
            task = await answered(client, market)
            assert (await next_of(heard))[1].id == task.id
